// Partial sums of tiles -> one open sum, one nearest mean and one own sum a row. A row's stretches are passed in the
// order of positions, batch after batch: first what lies before the batch's rows (the columns of its tiles), and for a
// row of the batch itself all the rest. Those rows have the whole width of the triangle before them, so stretches of
// `joined_tiles` are joined side by side first and the few joined ones passed after that.
#include "cuda/kernels.hpp"
#include "cuda/launch.cuh"

namespace zoorank::cuda {
namespace {

constexpr std::int64_t joined_tiles = 32;

// Passes what tile `other` says of row `row` of tile row `mine`.
template <class T>
__device__ __forceinline__ void pass_tile(walker& walk, const fold_args<T>& args, std::int64_t mine,
                                          std::int64_t other) {
    walk.pass(stretch_of_tile<T>(args.tile_classes, other, args.columns),
              read_sums(args.partial, args.batch, mine, other, threadIdx.x));
}

// Rows behind the batch: they pass its tile rows.
template <class T>
__global__ void __launch_bounds__(tile_side<T>) fold_kernel(const __grid_constant__ fold_args<T> args) {
    const std::int64_t mine = args.batch.first + args.batch.rows + blockIdx.x;
    const std::int64_t position = mine * tile_side<T> + threadIdx.x;
    if (position >= args.rows) return;
    walker walk(args.class_begin, args.class_of[position], args.own + position, args.states[position]);
#pragma unroll 4
    for (std::int64_t other = args.batch.first; other < args.batch.first + args.batch.rows; ++other)
        pass_tile(walk, args, mine, other);
    args.states[position] = walk.state();
}

// Rows of the batch, first step: a block joins a group of tiles for a tile row.
template <class T>
__global__ void __launch_bounds__(tile_side<T>)
    join_kernel(const __grid_constant__ fold_args<T> args, std::int64_t groups) {
    const std::int64_t mine = args.batch.first + blockIdx.x / groups;
    const std::int64_t position = mine * tile_side<T> + threadIdx.x;
    if (position >= args.rows) return;
    const std::int64_t begin = args.batch.first_column() + blockIdx.x % groups * joined_tiles;
    const std::int64_t end = least(begin + joined_tiles, args.batch.side);
    walker walk(args.class_begin, args.class_of[position], args.own + position, walk_state());
    walk.join(args.tile_classes[2 * begin], args.tile_classes[2 * end - 1]);
#pragma unroll 4
    for (std::int64_t other = begin; other < end; ++other) pass_tile(walk, args, mine, other);
    args.joined[std::int64_t(blockIdx.x) * tile_side<T> + threadIdx.x] = walk.joined();
}

// Second step: each row passes the joined stretches.
template <class T>
__global__ void __launch_bounds__(tile_side<T>)
    pass_joined_kernel(const __grid_constant__ fold_args<T> args, std::int64_t groups) {
    const std::int64_t position = (args.batch.first + blockIdx.x) * tile_side<T> + threadIdx.x;
    if (position >= args.rows) return;
    walker walk(args.class_begin, args.class_of[position], args.own + position, args.states[position]);
#pragma unroll 4
    for (std::int64_t group = 0; group < groups; ++group) {
        const std::int64_t begin = args.batch.first_column() + group * joined_tiles;
        const std::int64_t end = least(begin + joined_tiles, args.batch.side);
        walk.pass(stretch{least(end * tile_side<T>, args.columns), args.tile_classes[2 * begin],
                          args.tile_classes[2 * end - 1]},
                  args.joined[(blockIdx.x * groups + group) * tile_side<T> + threadIdx.x]);
    }
    args.states[position] = walk.state();
}

__global__ void __launch_bounds__(block_threads) clear_kernel(walk_state* states, double* own, std::int64_t rows) {
    const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
    if (i >= rows) return;
    states[i] = walk_state();
    own[i] = 0;
}

__global__ void __launch_bounds__(block_threads) finish_kernel(const __grid_constant__ finish_args args) {
    const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
    if (i >= args.rows) return;
    const std::int64_t c = args.class_of[i], size = args.class_begin[c + 1] - args.class_begin[c];
    const std::int64_t place = args.order ? args.order[i] : i;
    const double own = size == 1 ? 0 : args.own[i] / double(size - 1), nearest = args.states[i].nearest;
    args.samples[place] = size == 1 ? 0 : silhouette_of(own, nearest);
    if (own < args.vanishing && nearest < args.vanishing)
        atomicMin(args.vanished, static_cast<unsigned long long>(place));
}

std::int64_t groups_of(const tile_batch& batch) { return ceil_div(batch.columns(), joined_tiles); }

}  // namespace

template <class T>
std::int64_t joined_sums(const tile_batch& batch) {
    return batch.rows * groups_of(batch) * tile_side<T>;
}

template <class T>
void fold(const fold_args<T>& args, cudaStream_t stream) {
    const std::int64_t groups = groups_of(args.batch);
    launch("joining sums", join_kernel<T>, {args.batch.rows * groups, tile_side<T>}, stream, args, groups);
    launch("folding joined sums", pass_joined_kernel<T>, {args.batch.rows, tile_side<T>}, stream, args, groups);
    const std::int64_t behind = args.batch.rectangle ? 0 : args.batch.columns() - args.batch.rows;
    if (behind > 0) launch("folding sums", fold_kernel<T>, {behind, tile_side<T>}, stream, args);
}

void clear_states(walk_state* states, double* own, std::int64_t rows, cudaStream_t stream) {
    launch("clearing sums", clear_kernel, {ceil_div(rows, block_threads), block_threads}, stream, states, own, rows);
}

void finish(const finish_args& args, cudaStream_t stream) {
    launch("computing silhouettes", finish_kernel, {ceil_div(args.rows, block_threads), block_threads}, stream, args);
}

template std::int64_t joined_sums<float>(const tile_batch&);
template std::int64_t joined_sums<double>(const tile_batch&);
template void fold(const fold_args<float>&, cudaStream_t);
template void fold(const fold_args<double>&, cudaStream_t);

}  // namespace zoorank::cuda
