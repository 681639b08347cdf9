#pragma once
// Copies of contiguous memory by a whole block.
#include "cuda/ptx.cuh"

namespace zoorank::cuda {

/// A contiguous copy by the first `Threads` threads of a block, under way when this returns.
template <int Bytes, int Threads>
__device__ __forceinline__ void copy_together(void* shared, const void* global) {
    static_assert(Bytes % (16 * Threads) == 0, "whole passes of all threads");
#pragma unroll
    for (int offset = 0; offset < Bytes; offset += 16 * Threads)
        copy_16_bytes(static_cast<unsigned char*>(shared) + offset + 16 * threadIdx.x,
                      static_cast<const unsigned char*>(global) + offset + 16 * threadIdx.x);
}

}  // namespace zoorank::cuda
