#pragma once
// What all kernels do with a tile of products: turn them into distances in shared memory, recompute the few that
// cancellation spoilt, and add them up both ways.
//
// The distances of a tile take the place of the operands, which are not needed any more. Row r begins at element
// r * distance_stride. The stride is a whole side and 16 bytes: eight rows read 16 bytes each at the same column from
// all 32 banks, and 32 columns of one row lie in 32 banks, so sums along rows and along columns are free of conflicts.
#include "cuda/kernels.hpp"
#include "cuda/ptx.cuh"
#include "cuda/warp.cuh"

namespace zoorank::cuda {

// Shared memory of a multiprocessor, in KB, of which each block loses one. Where no two blocks fit, the one may have
// all registers.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ == 900 || __CUDA_ARCH__ == 1000
inline constexpr int multiprocessor_kilobytes = 228;
#elif __CUDA_ARCH__ == 800
inline constexpr int multiprocessor_kilobytes = 164;
#else
inline constexpr int multiprocessor_kilobytes = 100;
#endif
constexpr int resident_blocks(int shared_bytes) {
    return 2 * (shared_bytes + 1024) <= multiprocessor_kilobytes * 1024 ? 2 : 1;
}

template <class T>
inline constexpr int distance_stride = tile_side<T> + 16 / int(sizeof(T));

template <class T>
inline constexpr int distance_bytes = tile_side<T> * distance_stride<T> * int(sizeof(T));

/// A squared distance below this share of |x|^2 + |y|^2 has lost too many digits to cancellation: such pairs are
/// recomputed from differences of the original rows. Split rows need what the CPU's tiles need; ordinary cores add up
/// all features of a pair in float, and need no less.
template <class T>
inline constexpr T cancellation_share = T(1) / (sizeof(T) == 4 ? 8 : 32);

template <class T>
inline constexpr T spoilt_mark = T(-1);

__device__ __forceinline__ float root_of(float x) { return approximate_root(x); }
__device__ __forceinline__ double root_of(double x) { return sqrt(x); }

/// Distance (or squared distance) of a pair of rows, or spoilt_mark. The root is taken in any case: a branch around it
/// would keep the roots of a thread from overlapping.
template <class T>
__device__ __forceinline__ T distance_of(T product, T norms, bool root) {
    const T square = fma(T(-2), product, norms);
    const T distance = root ? root_of(square) : square;
    return square < cancellation_share<T> * norms ? spoilt_mark<T> : distance;
}

/// Recomputes the marked pairs among the first `rows` x `cols` of a tile from differences. A warp takes 4 x 8 pairs at
/// a time, so that what it reads of a row serves several of them, and lane l looks after pair l: no lane writes what
/// another one reads.
template <class T>
__device__ void repair(T* distances, const source_rows<T>& a, std::int64_t first_row, const source_rows<T>& b,
                       std::int64_t first_col, bool root) {
    constexpr int height = 4, width = sizeof(T) == 4 ? 8 : 4, pairs = height * width;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int rows = int(least(a.rows - first_row, tile_side<T>)), cols = int(least(b.rows - first_col, tile_side<T>));
    if (warp >= block_threads / 32) return;
    const int across = int(ceil_div(cols, width)), all = int(ceil_div(rows, height)) * across;
    for (int index = warp; index < all; index += block_threads / 32) {
        const int first_r = index / across * height, first_c = index % across * width;
        const int r = first_r + lane / width, c = first_c + lane % width;
        const bool marked = lane < pairs && r < rows && c < cols && distances[r * distance_stride<T> + c] < 0;
        if (__ballot_sync(~0u, marked) == 0) continue;
        const T *x[height], *y[width];
#pragma unroll
        for (int i = 0; i < height; ++i) x[i] = a.row(first_row + least(first_r + i, rows - 1)) + lane;
#pragma unroll
        for (int j = 0; j < width; ++j) y[j] = b.row(first_col + least(first_c + j, cols - 1)) + lane;
        T sums[pairs] = {};
        for (std::int64_t left = a.depth - lane; left > 0; left -= 32) {
            T at_x[height], at_y[width];
#pragma unroll
            for (int i = 0; i < height; ++i) {
                at_x[i] = *x[i] * a.scale;
                x[i] += 32;
            }
#pragma unroll
            for (int j = 0; j < width; ++j) {
                at_y[j] = *y[j] * b.scale;
                y[j] += 32;
            }
#pragma unroll
            for (int i = 0; i < height; ++i)
#pragma unroll
                for (int j = 0; j < width; ++j) {
                    const T difference = at_x[i] - at_y[j];
                    sums[i * width + j] += difference * difference;
                }
        }
        const T sum = warp_sum_each(sums);
        if (marked) distances[r * distance_stride<T> + c] = root ? root_of(sum) : sum;
    }
}

/// The tile is complete when this returns. Every thread of the block calls it.
template <class T>
__device__ __forceinline__ void settle(bool spoilt, T* distances, const source_rows<T>& a, std::int64_t first_row,
                                       const source_rows<T>& b, std::int64_t first_col, bool root) {
    if (__syncthreads_or(spoilt)) {
        repair(distances, a, first_row, b, first_col, root);
        __syncthreads();
    }
}

/// Elements [begin, end) of a row, in a fixed order.
template <class T>
__device__ __forceinline__ T sum_along_row(const T* row, int begin, int end) {
    constexpr int width = 16 / int(sizeof(T));
    T sums[width] = {};
    int c = begin;
    for (; c < end && c % width; ++c) sums[0] += row[c];
#pragma unroll 4
    for (; c + width <= end; c += width) {
        const int4 words = *reinterpret_cast<const int4*>(row + c);
        T four[width];
        memcpy(four, &words, sizeof words);
#pragma unroll
        for (int i = 0; i < width; ++i) sums[i] += four[i];
    }
    for (; c < end; ++c) sums[0] += row[c];
    T total = sums[0];
#pragma unroll
    for (int i = 1; i < width; ++i) total += sums[i];
    return total;
}

/// Rows [begin, end) of a column, in a fixed order.
template <class T>
__device__ __forceinline__ T sum_along_column(const T* column, int begin, int end) {
    T sums[4] = {};
    int r = begin;
#pragma unroll 2
    for (; r + 4 <= end; r += 4)
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[i] += column[(r + i) * distance_stride<T>];
    for (; r < end; ++r) sums[0] += column[r * distance_stride<T>];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// Writes what tile `number` of the batch says of its rows and, above the diagonal, of its columns. The first tile_side
/// threads take a row each, the next a column.
template <class T>
__device__ __forceinline__ void emit_sums(const T* distances, const sums_args<T>& args, tile_index tile,
                                          std::int64_t number) {
    constexpr int side = tile_side<T>;
    static_assert(block_threads >= 2 * side, "a thread a row and a thread a column");
    const bool of_columns = threadIdx.x >= side;
    const int mine = of_columns ? int(threadIdx.x) - side : int(threadIdx.x);
    if (mine >= side || (of_columns && !args.batch.speaks_of_columns(tile))) return;
    const std::int64_t other = of_columns ? tile.row : tile.col;
    const std::int64_t position = (of_columns ? tile.col : tile.row) * side + mine;
    if (position >= args.rows.from.rows) return;
    const stretch s = stretch_of_tile<T>(args.tile_classes, other, args.cols.from.rows);
    const auto sum = [&](int begin, int end) {
        return of_columns ? sum_along_column(distances + mine, begin, end)
                          : sum_along_row(distances + mine * distance_stride<T>, begin, end);
    };
    const stretch_sums<T> sums =
        sums_of_stretch<T>(other * side, s, args.class_begin, args.class_of[position], args.own + position, sum);
    write_sums(args.partial, args.batch.tiles(), of_columns, number, mine, sums);
}

}  // namespace zoorank::cuda
