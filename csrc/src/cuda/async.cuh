#pragma once
// Copies from global to shared memory that run while the threads compute. Every CUDA device from 8.0 on has them.
#include <cstdint>

namespace zoorank::cuda {

__device__ __forceinline__ std::uint32_t shared_address(const void* p) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

__device__ __forceinline__ void copy_16_bytes(void* shared, const void* global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)), "l"(global) : "memory");
}

/// Ends a group of copies; groups finish in order.
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most `Pending` groups of this thread are under way.
template <int Pending>
__device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

/// A contiguous copy by the first `block_threads` threads of a block.
template <int Bytes, int Threads>
__device__ __forceinline__ void copy_together(void* shared, const void* global) {
    static_assert(Bytes % (16 * Threads) == 0, "whole passes of all threads");
#pragma unroll
    for (int offset = 0; offset < Bytes; offset += 16 * Threads)
        copy_16_bytes(static_cast<unsigned char*>(shared) + offset + 16 * threadIdx.x,
                      static_cast<const unsigned char*>(global) + offset + 16 * threadIdx.x);
}

}  // namespace zoorank::cuda
