#pragma once
// Sums over the 32 lanes of a warp, always added up in the same order.

namespace zoorank::cuda {

template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) value += __shfl_xor_sync(~0u, value, lane);
    return value;
}

/// Of Count sums, the one whose number is the lane's (modulo Count, 16 or 32). Each has the bits that warp_sum() gives
/// it, for a fifth of the exchanges: every step halves the sums that a lane still looks after.
template <class T, int Count>
__device__ __forceinline__ T warp_sum_each(T (&sums)[Count]) {
#pragma unroll
    for (int bit = 16; bit > 0; bit /= 2) {
        const bool upper = threadIdx.x & bit;
#pragma unroll
        for (int i = 0; i < (bit < Count ? bit : Count); ++i) {
            const T kept = bit < Count && upper ? sums[i + bit] : sums[i];
            const T given = bit < Count && !upper ? sums[i + bit] : sums[i];
            sums[i] = kept + __shfl_xor_sync(~0u, given, bit);
        }
    }
    return sums[0];
}

}  // namespace zoorank::cuda
