#pragma once
// What both tensor-core kernels share: the shape of a tile of split rows (see `split` in tiles.hpp) and the way from
// accumulators to distances.
//
// With x = hi + lo in bfloat16, x.y is taken as hi.hi + hi.lo + lo.hi with float32 accumulators. What is left out,
// lo.lo and the rest of the rounding of lo, is 2^-16 of |x||y| at worst for one feature; over many it averages out, so
// this is for `least_split_depth` features and more.
//
// A stage of the pipeline is one feature block of both sides: 32 features, hi and lo, of 128 rows and of 128 columns.
// It is read from memory once for three products.
#include "cuda/epilogue.cuh"

namespace zoorank::cuda {

struct split_shape {
    static constexpr int side = tile_side<float>, stages = 3;
    static constexpr int stage_bytes = 2 * split::image_bytes;
    static constexpr int shared_bytes =
        stages * stage_bytes > distance_bytes<float> ? stages * stage_bytes : distance_bytes<float>;
    static_assert(side == 128 && split::image_bytes == 16 * 1024, "the warps' shares of a tile are laid out for 128");
    static_assert(shared_bytes <= 99 * 1024, "every device from 8.0 on has that much for a block");
};

/// The images of a tile.
__device__ __forceinline__ const unsigned char* images_of(const operand<float>& rows, std::int64_t tile, int blocks) {
    return static_cast<const unsigned char*>(rows.packed) + split::image_offset(tile, 0, blocks);
}

/// Four accumulators of an m16n8 product: (row, col), (row, col + 1), (row + 8, col), (row + 8, col + 1), as every
/// tensor-core instruction hands them out: row = lane / 4, col = lane % 4 * 2 within the product.
__device__ __forceinline__ void place_fragment(const float (&products)[4], int row, int col, const float* norms_a,
                                               const float* norms_b, bool same_rows, float* distances, bool& spoilt) {
    const float2 norm_b = *reinterpret_cast<const float2*>(norms_b + col);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int r = row + 8 * half;
        const float norm_a = norms_a[r];
        float2 pair;
        pair.x = distance_of(products[2 * half], norm_a + norm_b.x, true);
        pair.y = distance_of(products[2 * half + 1], norm_a + norm_b.y, true);
        if (same_rows && r == col) pair.x = 0;
        if (same_rows && r == col + 1) pair.y = 0;
        spoilt |= pair.x < 0 || pair.y < 0;
        *reinterpret_cast<float2*>(distances + r * distance_stride<float> + col) = pair;
    }
}

}  // namespace zoorank::cuda
