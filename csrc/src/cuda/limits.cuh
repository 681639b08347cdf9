#pragma once
// What the loops of limits.cu and limits_wgmma.cu share.
#include <cuda_runtime_api.h>

#include "cuda/tiles.hpp"

namespace zoorank::cuda {

/// Two bfloat16 with random signs and digits, between 0.5 and 1 in size: products of zeros would take less power, and
/// run at clocks that no real data sees.
__device__ __forceinline__ unsigned two_values(unsigned seed) {
    seed = (seed + 0x9e3779b9u) * 0x85ebca6bu;
    seed ^= seed >> 13;
    seed *= 0xc2b2ae35u;
    seed ^= seed >> 16;
    return (seed & 0x807f807fu) | 0x3f003f00u;
}

/// Lets the compiler think that a result is wanted.
__device__ __forceinline__ void keep(float result, float* out) {
    if (result == 12345.678f) *out = result;
}

/// Both launch a loop and return how many operations it does.
double run_products_wgmma(int rounds, int multiprocessors, float* out, cudaStream_t stream);
bool wgmma_built();

}  // namespace zoorank::cuda
