#pragma once
// What tests say to the emulated machine, and ask it. Python calls these functions out of the module _cuda, so they
// have C names and are exported.
#include <cstddef>
#include <cstdint>

#define ZOORANK_EMULATOR_API extern "C" __attribute__((visibility("default")))

/// Settings: `devices`, `major` and `minor` (their compute capability), `memory` (bytes of each), `driver` (the version
/// of CUDA that it supports, 0 for none); and failures to come: the so manieth `failing_allocation`, `failing_launch`,
/// or `faulting_launch`, after which every call fails until it is set again; counted from now, 0 for none. False for
/// another name. The environment variable ZOORANK_EMULATED_CUDA, "memory=1000000 devices=2", comes first.
ZOORANK_EMULATOR_API bool emulated_cuda_set(const char* name, std::int64_t value);

/// A setting, or what was counted: `allocations` and `events` of the backend alive, `taken` bytes, `launches`, the
/// `stream` and the `device` of the last one. -1 for another name.
ZOORANK_EMULATOR_API std::int64_t emulated_cuda_get(const char* name);

/// Memory of a device as another library would own it, a stream of it, which is never destroyed, and a copy to such
/// memory when the stream gets there.
ZOORANK_EMULATOR_API void* emulated_cuda_allocate(int device, std::size_t bytes);
ZOORANK_EMULATOR_API void emulated_cuda_free(void* memory);
ZOORANK_EMULATOR_API std::uintptr_t emulated_cuda_stream(int device);
ZOORANK_EMULATOR_API void emulated_cuda_copy(void* to, const void* from, std::size_t bytes, std::uintptr_t stream);
