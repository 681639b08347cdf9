// Squared Euclidean and cosine by class means, and the surrogate of Euclidean, O(nKd); the formulas are those of
// csrc/src/mean_search.cpp. All in double.
#include "cuda/launch.cuh"
#include "cuda/simt.cuh"

namespace zoorank::cuda {
namespace {

// Feature k of a row in double: scaled and centred, or of unit length.
template <class T>
__device__ double feature(const means_args<T>& args, std::int64_t position, std::int64_t k) {
    const T* row = args.from.row(position);
    const auto value = static_cast<double>(row[k]);
    if (args.units) return value * args.units[position].scale * args.units[position].inverse;
    return value * static_cast<double>(args.from.scale) - static_cast<double>(args.from.centre[k]);
}

// e of a row: 1 where it has no direction.
__device__ double excess_of(const unit_factors* units, std::int64_t position) {
    return units && units[position].inverse == 0 ? 1 : 0;
}

// One thread a feature of a chunk, around the class's first row, which keeps the mean of a tight class exact.
template <class T>
__global__ void __launch_bounds__(block_threads) chunk_sums_kernel(const __grid_constant__ means_args<T> args) {
    const std::int64_t feature_blocks = ceil_div(args.from.depth, block_threads);
    const std::int64_t index = blockIdx.x / feature_blocks;
    const std::int64_t k = blockIdx.x % feature_blocks * block_threads + threadIdx.x;
    if (k >= args.from.depth) return;
    const chunk part = args.chunks[index];
    const double origin = feature(args, args.class_begin[part.class_index], k);
    double sum = 0;
#pragma unroll 4
    for (std::int64_t i = part.begin; i < part.end; ++i) sum += feature(args, i, k) - origin;
    args.chunk_sums[index * args.from.depth + k] = sum;
}

template <class T>
__global__ void __launch_bounds__(block_threads) means_kernel(const __grid_constant__ means_args<T> args) {
    const std::int64_t feature_blocks = ceil_div(args.from.depth, block_threads);
    const std::int64_t c = blockIdx.x / feature_blocks;
    const std::int64_t k = blockIdx.x % feature_blocks * block_threads + threadIdx.x;
    if (k >= args.from.depth) return;
    double sum = 0;
    for (std::int64_t index = args.first_chunk[c]; index < args.first_chunk[c + 1]; ++index)
        sum += args.chunk_sums[index * args.from.depth + k];
    const double size = static_cast<double>(args.class_begin[c + 1] - args.class_begin[c]);
    args.means[c * args.from.depth + k] = feature(args, args.class_begin[c], k) + sum / size;
}

// Squared distance of each row to its own mean; one warp a row.
template <class T>
__global__ void __launch_bounds__(block_threads) radii_kernel(const __grid_constant__ means_args<T> args) {
    const std::int64_t position = (std::int64_t(blockIdx.x) * block_threads + threadIdx.x) / 32;
    if (position >= args.from.rows) return;
    const double* mean = args.means + args.class_of[position] * args.from.depth;
    double sum = 0;
    for (std::int64_t k = threadIdx.x % 32; k < args.from.depth; k += 32) {
        const double difference = feature(args, position, k) - mean[k];
        sum += difference * difference;
    }
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) args.own[position] = sum;
}

// The bias of each class, then the mean distance of its rows to each other; one block a class.
template <class T>
__global__ void __launch_bounds__(block_threads) spreads_kernel(const __grid_constant__ means_args<T> args) {
    __shared__ double sums[block_threads / 32];
    const std::int64_t c = blockIdx.x, begin = args.class_begin[c], end = args.class_begin[c + 1];
    double sum = 0;
    for (std::int64_t i = begin + threadIdx.x; i < end; i += block_threads)
        sum += args.own[i] + excess_of(args.units, i);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
#pragma unroll
    for (int warp = 0; warp < block_threads / 32; ++warp) sum += sums[warp];
    const double size = static_cast<double>(end - begin);
    if (threadIdx.x == 0) args.bias[c] = sum / size;
    if (end - begin == 1) return;
    for (std::int64_t i = begin + threadIdx.x; i < end; i += block_threads) {
        // The sum over the class holds the row itself once, at 0 + e + e.
        const double excess = excess_of(args.units, i);
        args.own[i] = (size * (args.own[i] + excess) + sum - 2 * excess) / (size - 1);
    }
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    load_rows_kernel(const __grid_constant__ means_args<T> args, std::int64_t begin, double* rows) {
    for (std::int64_t k = threadIdx.x; k < args.from.depth; k += block_threads)
        rows[blockIdx.x * args.from.depth + k] = feature(args, begin + blockIdx.x, k);
}

// Parallel rows are at cosine distance 0, but rounding leaves their unit rows some 1e-16 apart.
__device__ double mean_distance(double square, bool directions, bool roots) {
    constexpr double rounding = 1e-30;
    if (directions && square < rounding) return 0;
    return roots ? sqrt(square) : square;
}

__global__ void __launch_bounds__(block_threads, 2) nearest_kernel(const __grid_constant__ nearest_args args) {
    unsigned char* shared = dynamic_shared();
    constexpr int side = tile_side<double>, threads_a_row = block_threads / side;
    const int mine = threadIdx.x / threads_a_row;
    const std::int64_t row = std::int64_t(blockIdx.x) * side + mine, position = args.first + row;
    const bool exists = row < args.rows.from.rows;
    const std::int64_t own_class = exists ? args.class_of[position] : -1;
    double nearest = nothing_near;
    past_means(args.rows, args.means, args.bias, own_class, shared, [&](double distance, std::int64_t) {
        if (distance < nearest) nearest = distance;
    });
#pragma unroll
    for (int lane = 1; lane < threads_a_row; lane *= 2) {
        const double other = __shfl_xor_sync(~0u, nearest, lane);
        nearest = other < nearest ? other : nearest;
    }
    if (!exists || threadIdx.x % threads_a_row != 0) return;
    const bool directions = args.units != nullptr;
    const bool alone = args.class_begin[own_class + 1] - args.class_begin[own_class] == 1;
    const double own = alone ? 0 : args.own[position], other = nearest + excess_of(args.units, position);
    const std::int64_t original = args.order[position];
    args.samples[original] =
        alone ? 0
              : silhouette_of(mean_distance(own, directions, args.roots), mean_distance(other, directions, args.roots));
    if (own < args.vanishing && other < args.vanishing)
        atomicMin(args.vanished, static_cast<unsigned long long>(original));
}

}  // namespace

template <class T>
void compute_means(const means_args<T>& args, cudaStream_t stream) {
    const std::int64_t feature_blocks = ceil_div(args.from.depth, block_threads);
    launch("adding up classes", chunk_sums_kernel<T>, {args.chunk_count * feature_blocks, block_threads}, stream, args);
    launch("computing means", means_kernel<T>, {args.classes * feature_blocks, block_threads}, stream, args);
}

template <class T>
void compute_radii(const means_args<T>& args, cudaStream_t stream) {
    launch("computing distances to means", radii_kernel<T>,
           {ceil_div(args.from.rows, block_threads / 32), block_threads}, stream, args);
}

template <class T>
void compute_spreads(const means_args<T>& args, cudaStream_t stream) {
    launch("computing spreads", spreads_kernel<T>, {args.classes, block_threads}, stream, args);
}

template <class T>
void load_rows(const means_args<T>& args, std::int64_t begin, std::int64_t count, double* rows, cudaStream_t stream) {
    launch("loading rows", load_rows_kernel<T>, {count, block_threads}, stream, args, begin, rows);
}

void nearest_means(const nearest_args& args, cudaStream_t stream) {
    launch("looking for the nearest means", nearest_kernel,
           {ceil_div(args.rows.from.rows, tile_side<double>), block_threads, simt_shape<double>::shared_bytes}, stream,
           args);
}

#define ZOORANK_INSTANTIATE(T)                                         \
    template void compute_means(const means_args<T>&, cudaStream_t);   \
    template void compute_radii(const means_args<T>&, cudaStream_t);   \
    template void compute_spreads(const means_args<T>&, cudaStream_t); \
    template void load_rows(const means_args<T>&, std::int64_t, std::int64_t, double*, cudaStream_t);
ZOORANK_INSTANTIATE(float)
ZOORANK_INSTANTIATE(double)

}  // namespace zoorank::cuda
