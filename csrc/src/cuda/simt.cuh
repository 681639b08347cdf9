#pragma once
// Tiles on ordinary cores: Manhattan, float64, and Euclidean of few features.
//
// 16 x 16 threads; thread (ty, tx) holds the pairs of 2V rows and 2V columns, V being the numbers of a 16-byte load:
// rows ty * V + i and side / 2 + ty * V + i, columns likewise with tx. So a warp reads its columns as one contiguous
// run, free of bank conflicts, and its rows as broadcasts. Panels come in a ring of three stages of 64 bytes a row.
#include "cuda/copies.cuh"
#include "cuda/epilogue.cuh"

namespace zoorank::cuda {

template <class T>
struct simt_shape {
    static constexpr int side = tile_side<T>, width = 16 / int(sizeof(T)), held = 2 * width, stages = 3;
    static constexpr int panel_bytes = 64 * side, stage_bytes = 2 * panel_bytes;
    static constexpr int shared_bytes =
        stages * stage_bytes > distance_bytes<T> ? stages * stage_bytes : distance_bytes<T>;
    static_assert(16 * held == side, "16 threads a side");
    static_assert(shared_bytes <= 99 * 1024, "every device from 8.0 on has that much for a block");

    /// Row (or column) number i of the thread whose place along that side is `place`.
    __device__ static int held_at(int place, int i) { return i / width * (side / 2) + place * width + i % width; }
};

template <class T>
struct by_products {
    static constexpr bool products = true;
    __device__ static void step(T& sum, T x, T y) { sum += x * y; }
};

template <class T>
struct by_differences {
    static constexpr bool products = false;
    __device__ static void step(T& sum, T x, T y) { sum += fabs(x - y); }
};

/// Accumulates over all features of two panels. `shared` may be reused when this returns.
template <class T, class Metric>
__device__ __forceinline__ void accumulate(const T* a, const T* b, std::int64_t blocks, unsigned char* shared,
                                           T (&sums)[simt_shape<T>::held][simt_shape<T>::held]) {
    using shape = simt_shape<T>;
    constexpr int stage_elements = panel::features<T> * shape::side;
    const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
    // Of the next stage to fill: its place in the ring, and where its operands come from.
    int filling = 0;
    std::int64_t left = blocks;
    const auto fetch = [&] {
        if (left > 0) {
            unsigned char* stage = shared + filling * shape::stage_bytes;
            copy_together<shape::panel_bytes, block_threads>(stage, a);
            copy_together<shape::panel_bytes, block_threads>(stage + shape::panel_bytes, b);
            a += stage_elements;
            b += stage_elements;
            --left;
        }
        if (++filling == shape::stages) filling = 0;
        commit_copies();  // empty groups keep the count of pending ones right
    };
#pragma unroll
    for (int i = 0; i < shape::held; ++i)
#pragma unroll
        for (int j = 0; j < shape::held; ++j) sums[i][j] = 0;
#pragma unroll
    for (int s = 0; s < shape::stages - 1; ++s) fetch();
    int reading = 0;
    for (std::int64_t block = 0; block < blocks; ++block) {
        wait_for_copies<shape::stages - 2>();
        __syncthreads();  // the stage is there for all, and all have done with the one that is filled next
        fetch();
        const T* stage_a = reinterpret_cast<const T*>(shared + reading * shape::stage_bytes);
        if (++reading == shape::stages) reading = 0;
        const T* stage_b = stage_a + stage_elements;
#pragma unroll 4
        for (int k = 0; k < panel::features<T>; ++k) {
            T x[shape::held], y[shape::held];
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int at = k * shape::side + half * (shape::side / 2);
                const int4 words_x = *reinterpret_cast<const int4*>(stage_a + at + ty * shape::width);
                const int4 words_y = *reinterpret_cast<const int4*>(stage_b + at + tx * shape::width);
                memcpy(x + half * shape::width, &words_x, sizeof words_x);
                memcpy(y + half * shape::width, &words_y, sizeof words_y);
            }
#pragma unroll
            for (int i = 0; i < shape::held; ++i)
#pragma unroll
                for (int j = 0; j < shape::held; ++j) Metric::step(sums[i][j], x[i], y[j]);
        }
    }
    wait_for_copies<0>();
    __syncthreads();
}

/// Accumulated sums -> distances of a tile, complete when this returns.
template <class T, class Metric>
__device__ __forceinline__ void place_distances(const T (&sums)[simt_shape<T>::held][simt_shape<T>::held],
                                                const operand<T>& a, std::int64_t tile_a, const operand<T>& b,
                                                std::int64_t tile_b, bool same_rows, bool root, T* distances) {
    using shape = simt_shape<T>;
    const std::int64_t first_row = tile_a * shape::side, first_col = tile_b * shape::side;
    const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
    bool spoilt = false;
#pragma unroll
    for (int i = 0; i < shape::held; ++i) {
        const int r = shape::held_at(ty, i);
#pragma unroll
        for (int j = 0; j < shape::held; ++j) {
            const int c = shape::held_at(tx, j);
            T distance = sums[i][j];
            if (same_rows && r == c)
                distance = 0;
            else if (Metric::products)
                distance = distance_of(sums[i][j], a.norms[first_row + r] + b.norms[first_col + c], root);
            spoilt |= distance < 0;
            distances[r * distance_stride<T> + c] = distance;
        }
    }
    if (Metric::products)
        settle(spoilt, distances, a.from, first_row, b.from, first_col, root);
    else
        __syncthreads();
}

template <class T>
__device__ __forceinline__ const T* panel_of(const operand<T>& rows, std::int64_t tile, std::int64_t blocks) {
    return static_cast<const T*>(rows.packed) + panel::offset<T>(tile, 0, 0, blocks);
}

/// One block takes the 64 rows of tile blockIdx.x past all means, 64 at a time. Four threads look through a row's
/// distances, each shown every fourth: `visit(distance, class)`, with the bias of the class and without the own class.
template <class Visit>
__device__ __forceinline__ void past_means(const operand<double>& rows, const operand<double>& means,
                                           const double* bias, std::int64_t own_class, unsigned char* shared,
                                           Visit visit) {
    constexpr int side = tile_side<double>, threads_a_row = block_threads / side;
    const std::int64_t blocks = panel::blocks<double>(rows.from.depth), classes = means.from.rows;
    const int mine = threadIdx.x / threads_a_row;
    double* distances = reinterpret_cast<double*>(shared);
    for (std::int64_t tile = 0; tile * side < classes; ++tile) {
        double sums[simt_shape<double>::held][simt_shape<double>::held];
        accumulate<double, by_products<double>>(panel_of(rows, blockIdx.x, blocks), panel_of(means, tile, blocks),
                                                blocks, shared, sums);
        place_distances<double, by_products<double>>(sums, rows, blockIdx.x, means, tile, false, false, distances);
        for (int c = threadIdx.x % threads_a_row; c < side && tile * side + c < classes; c += threads_a_row)
            if (tile * side + c != own_class)
                visit(distances[mine * distance_stride<double> + c] + bias[tile * side + c], tile * side + c);
        __syncthreads();  // the next tile's operands take the place of the distances
    }
}

}  // namespace zoorank::cuda
