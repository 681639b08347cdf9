#pragma once
// The emulated machine: devices whose memory is the host's, and streams.
//
// Work on a stream is done when somebody waits for it and not before, by CUDA's rules of which streams wait for which:
// who reads too early reads what was there. Memory is poisoned when it is handed out and ends at a page that nobody may
// touch. Not found out: a kernel that is handed a pointer of the host or of another device.
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>

#include "cuda_runtime_api.h"

namespace emulator {

inline constexpr int runtime_version = 13000;

struct allocation {
    std::size_t bytes;
    int device;
    bool freed;      ///< as far as the host is concerned: the stream may have to get there
    bool of_others;  ///< not the backend's
    unsigned char* pages;
    std::size_t mapped;
};

struct device_counts {
    std::size_t taken = 0, given_back = 0;  ///< what is given back counts as taken until somebody waits
};

struct work {
    std::int64_t number;
    cudaStream_t stream;
    bool computes;  ///< and is not done after a fault; memory is given back even then
    std::function<void()> run;
};

struct machine {
    std::map<std::string, std::int64_t> settings;  ///< see controls.cpp
    std::map<std::uintptr_t, allocation> allocations;
    std::map<int, device_counts> devices;
    std::map<cudaStream_t, int> streams;  ///< made by others, and their devices
    std::list<work> queue;
    std::int64_t next_number = 0;
    std::int64_t launches = 0, events = 0;  ///< counted
    cudaStream_t last_stream = nullptr;     ///< of a launch, and its device
    int last_device = 0;
    bool used = false;                ///< and of no use to a process that is forked off
    cudaError_t fault = cudaSuccess;  ///< after which nothing works any more

    std::size_t memory() { return static_cast<std::size_t>(settings["memory"]); }
    /// Whether the so manieth one that was asked to fail is this one.
    bool strikes(const std::string& setting) {
        std::int64_t& left = settings[setting];
        return left > 0 && --left == 0;
    }
};

/// Locked for as long as the result lives; whoever runs kernels holds it, so they run one at a time.
struct locked_machine {
    locked_machine();
    machine* operator->() const;

private:
    std::lock_guard<std::recursive_mutex> lock_;
};

/// The device that is current for this thread.
extern thread_local int current;

/// Memory of a device, or null where the host has none.
void* map_memory(std::size_t bytes, int device, bool of_others = false);
/// Gives it back; ends the program when something was written behind it.
void unmap_memory(void* memory);
/// The allocation that an address lies in, or null; and whether all bytes from there on are memory of `current`.
allocation* allocation_at(const void* address);
bool on_current_device(const void* address, std::size_t bytes);

/// Adds work to a stream.
void put(cudaStream_t stream, bool computes, std::function<void()> run);
/// Does what a stream waits for: its own work before number `before`, and what that waits for, in order.
void drain(cudaStream_t stream, std::int64_t before);

/// A launch of `kernel` on the current device, to be done when the stream gets there.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> kernel);

}  // namespace emulator
