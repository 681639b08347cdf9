#pragma once
// Sums over the 32 lanes of a warp, always added up in the same order.

namespace zoorank::cuda {

template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) value += __shfl_xor_sync(~0u, value, lane);
    return value;
}

}  // namespace zoorank::cuda
