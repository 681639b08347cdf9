#pragma once
// The CUDA runtime as far as the backend calls it, on a machine with one device of compute capability 9.0 whose memory
// is the host's. Memory is poisoned when it is handed out. Also the words of CUDA C++ that the kernels use.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

#include "emulator.hpp"

#define __global__
#define __device__
#define __shared__ static
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

struct float2 {
    float x, y;
};
struct int4 {
    int x, y, z, w;
};
struct uint4 {
    unsigned x, y, z, w;
};

using std::fabs;
using std::fmax;
using std::ilogb;
using std::ldexp;
using std::max;
using std::min;
using std::sqrt;

inline void __syncthreads() { emulator::sync_block(); }
inline void __syncwarp() { emulator::gather(0); }
template <class V>
V __shfl_xor_sync(unsigned, V value, int lane_mask) {
    return emulator::gather(value)[static_cast<int>(threadIdx.x % 32) ^ lane_mask];
}
inline unsigned __ballot_sync(unsigned, bool vote) {
    const bool* votes = emulator::gather(vote);
    unsigned result = 0;
    for (unsigned lane = 0; lane < 32; ++lane) result |= static_cast<unsigned>(votes[lane]) << lane;
    return result;
}
inline int __syncthreads_or(int vote) {
    static int votes;
    if (threadIdx.x == 0) votes = 0;
    emulator::sync_block();
    votes |= vote;
    emulator::sync_block();
    const int result = votes;
    emulator::sync_block();
    return result;
}
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline void atomicMin(unsigned long long* to, unsigned long long value) { *to = std::min(*to, value); }
inline void atomicMax(unsigned long long* to, unsigned long long value) { *to = std::max(*to, value); }
inline unsigned __float_as_uint(float x) {
    unsigned bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}
inline long long __double_as_longlong(double x) {
    long long bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

enum cudaError_t {
    cudaSuccess,
    cudaErrorMemoryAllocation,
    cudaErrorInsufficientDriver,
    cudaErrorStubLibrary,
    cudaErrorNoDevice,
    cudaErrorNoKernelImageForDevice,
    cudaErrorInvalidPitchValue
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
enum cudaMemoryType { cudaMemoryTypeHost, cudaMemoryTypeDevice, cudaMemoryTypeManaged };
enum cudaDeviceAttr {
    cudaDevAttrComputeCapabilityMajor,
    cudaDevAttrComputeCapabilityMinor,
    cudaDevAttrMultiProcessorCount
};
using cudaStream_t = struct stream_tag*;
using cudaEvent_t = struct event_tag*;
inline constexpr unsigned cudaEventDisableTiming = 2, cudaEventBlockingSync = 1;

struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount;
    std::size_t totalGlobalMem;
};
struct cudaPointerAttributes {
    cudaMemoryType type;
    int device;
};

// Memory that is given back counts as taken until somebody waits.
inline constexpr std::size_t emulated_memory = std::size_t(1) << 28;
inline std::map<void*, std::size_t> emulated_allocations;
inline std::size_t emulated_taken = 0, emulated_given_back = 0;
using cudaMemPool_t = struct pool_tag*;

inline cudaError_t cudaDriverGetVersion(int* version) { return *version = 13000, cudaSuccess; }
inline cudaError_t cudaRuntimeGetVersion(int* version) { return *version = 13000, cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* found, int) {
    *found = {"emulator", 9, 0, 1, emulated_memory};
    return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int) {
    constexpr int values[] = {9, 0, 1};
    *value = values[which];
    return cudaSuccess;
}
inline cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* found, const void*) {
    *found = {cudaMemoryTypeDevice, 0};
    return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    *free = emulated_memory - emulated_taken - emulated_given_back;
    *total = emulated_memory;
    return cudaSuccess;
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "an error"; }

inline cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t) {
    if (bytes > emulated_memory - emulated_taken) return cudaErrorMemoryAllocation;
    *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (!*memory) return cudaErrorMemoryAllocation;
    std::memset(*memory, 0xff, bytes);
    emulated_allocations[*memory] = bytes;
    emulated_taken += bytes;
    emulated_given_back -= std::min(bytes, emulated_given_back);  // which is handed out first
    return cudaSuccess;
}
inline cudaError_t cudaFreeAsync(void* memory, cudaStream_t) {
    const auto found = emulated_allocations.find(memory);
    emulated_taken -= found->second;
    emulated_given_back += found->second;
    emulated_allocations.erase(found);
    return std::free(memory), cudaSuccess;
}
inline cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) { return *pool = nullptr, cudaSuccess; }
inline cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }
inline cudaError_t cudaDeviceSynchronize() { return emulated_given_back = 0, cudaSuccess; }
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t) {
    return std::memcpy(to, from, bytes), cudaSuccess;
}
inline cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                                     std::size_t width, std::size_t height, cudaMemcpyKind, cudaStream_t) {
    constexpr std::size_t longest = (std::size_t(1) << 31) - 1;
    if (width > to_pitch || width > from_pitch || std::max(to_pitch, from_pitch) > longest)
        return cudaErrorInvalidPitchValue;
    for (std::size_t row = 0; row < height; ++row)
        std::memcpy(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch, width);
    return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaDeviceSynchronize(); }
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return *event = nullptr, cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventCreate(cudaEvent_t* event) { return *event = nullptr, cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
    return *milliseconds = 1, cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
