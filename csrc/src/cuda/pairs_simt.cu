// Sums and distances of tiles on ordinary cores. See simt.cuh for the layout.
#include "cuda/launch.cuh"
#include "cuda/simt.cuh"

namespace zoorank::cuda {
namespace {

template <class T, class Metric>
__global__ void __launch_bounds__(block_threads, resident_blocks(simt_shape<T>::shared_bytes))
    sums_kernel(const __grid_constant__ sums_args<T> args) {
    const tile_index tile = args.batch.at(blockIdx.x);
    if (!args.batch.computes(tile)) return;
    unsigned char* shared = dynamic_shared();
    const std::int64_t blocks = panel::blocks<T>(args.rows.from.depth);
    T sums[simt_shape<T>::held][simt_shape<T>::held];
    accumulate<T, Metric>(panel_of(args.rows, tile.row, blocks), panel_of(args.cols, tile.col, blocks), blocks, shared,
                          sums);
    T* distances = reinterpret_cast<T*>(shared);
    place_distances<T, Metric>(sums, args.rows, tile.row, args.cols, tile.col, args.batch.on_diagonal(tile), true,
                               distances);
    emit_sums(distances, args, tile, blockIdx.x);
}

template <class T, class Metric>
__global__ void __launch_bounds__(block_threads, resident_blocks(simt_shape<T>::shared_bytes))
    store_kernel(const __grid_constant__ store_args<T> args) {
    unsigned char* shared = dynamic_shared();
    constexpr int side = tile_side<T>;
    const std::int64_t tiles_a = ceil_div(args.a.from.rows, side);
    const std::int64_t tile_a = blockIdx.x % tiles_a, tile_b = blockIdx.x / tiles_a;
    const std::int64_t blocks = panel::blocks<T>(args.a.from.depth);
    T sums[simt_shape<T>::held][simt_shape<T>::held];
    accumulate<T, Metric>(panel_of(args.a, tile_a, blocks), panel_of(args.b, tile_b, blocks), blocks, shared, sums);
    T* distances = reinterpret_cast<T*>(shared);
    place_distances<T, Metric>(sums, args.a, tile_a, args.b, tile_b, false, args.root, distances);
    for (int i = threadIdx.x; i < side * side; i += block_threads) {
        const int r = i / side, c = i % side;
        const std::int64_t row = tile_a * side + r, col = tile_b * side + c;
        if (row >= args.a.from.rows || col >= args.b.from.rows) continue;
        const bool no_direction = args.units_a && (args.units_a[row].inverse == 0 || args.units_b[col].inverse == 0);
        args.out[row * args.out_stride + col] =
            no_direction ? T(1) : distances[r * distance_stride<T> + c] * args.factors[0] * args.factors[1];
    }
}

template <class T, class Metric>
void sum(const sums_args<T>& args, cudaStream_t stream) {
    launch("computing distances", sums_kernel<T, Metric>,
           {args.batch.tiles(), block_threads, simt_shape<T>::shared_bytes}, stream, args);
}

template <class T, class Metric>
void store(const store_args<T>& args, cudaStream_t stream) {
    const std::int64_t tiles = ceil_div(args.a.from.rows, tile_side<T>) * ceil_div(args.b.from.rows, tile_side<T>);
    launch("computing distances", store_kernel<T, Metric>, {tiles, block_threads, simt_shape<T>::shared_bytes}, stream,
           args);
}

}  // namespace

void sum_euclidean(kernel which, const sums_args<float>& args, cudaStream_t stream) {
    switch (which) {
        case kernel::simt:
            return sum<float, by_products<float>>(args, stream);
        case kernel::mma:
            return sum_euclidean_mma(args, stream);
        case kernel::wgmma:
            return sum_euclidean_wgmma(args, stream);
    }
}
void sum_euclidean(kernel, const sums_args<double>& args, cudaStream_t stream) {
    sum<double, by_products<double>>(args, stream);
}
void sum_manhattan(const sums_args<float>& args, cudaStream_t stream) {
    sum<float, by_differences<float>>(args, stream);
}
void sum_manhattan(const sums_args<double>& args, cudaStream_t stream) {
    sum<double, by_differences<double>>(args, stream);
}
void store_squares(const store_args<float>& args, cudaStream_t stream) {
    store<float, by_products<float>>(args, stream);
}
void store_squares(const store_args<double>& args, cudaStream_t stream) {
    store<double, by_products<double>>(args, stream);
}
void store_manhattan(const store_args<float>& args, cudaStream_t stream) {
    store<float, by_differences<float>>(args, stream);
}
void store_manhattan(const store_args<double>& args, cudaStream_t stream) {
    store<double, by_differences<double>>(args, stream);
}

}  // namespace zoorank::cuda
