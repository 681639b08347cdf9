// Partial sums of tiles -> one open sum, one nearest mean and one own sum a row. A row's stretches are passed in the
// order of positions, batch after batch: first what lies before the batch's rows (the columns of its tiles), and for a
// row of the batch itself all the rest. Those rows have the whole width of the triangle before them, so stretches of
// `joined_tiles` are joined side by side first and the few joined ones passed after that.
#include "cuda/device.hpp"
#include "cuda/kernels.hpp"

namespace zoorank::cuda {
namespace {

constexpr std::int64_t joined_tiles = 32;

// Passes what tile `other` says of row `row` of tile row `mine`.
template <class T>
__device__ __forceinline__ void pass_tile(walker& walk, const fold_args<T>& args, std::int64_t mine,
                                          std::int64_t other) {
    walk.pass(stretch_of_tile<T>(args.tile_classes, other, args.positions),
              read_sums(args.partial, args.batch, mine, other, threadIdx.x));
}

// Rows behind the batch: they pass its tile rows.
template <class T>
__global__ void __launch_bounds__(tile_side<T>) fold_kernel(const __grid_constant__ fold_args<T> args) {
    const std::int64_t mine = args.batch.first + args.batch.rows + blockIdx.x;
    const std::int64_t position = mine * tile_side<T> + threadIdx.x;
    if (position >= args.positions) return;
    walker walk(args.class_begin, args.class_of[position], args.own + position, args.states[position]);
#pragma unroll 4
    for (std::int64_t other = args.batch.first; other < args.batch.first + args.batch.rows; ++other)
        pass_tile(walk, args, mine, other);
    args.states[position] = walk.state();
}

// Rows of the batch, first step: block (g, r) joins group g of tiles for tile row r.
template <class T>
__global__ void __launch_bounds__(tile_side<T>) join_kernel(const __grid_constant__ fold_args<T> args) {
    const std::int64_t mine = args.batch.first + blockIdx.y;
    const std::int64_t position = mine * tile_side<T> + threadIdx.x;
    if (position >= args.positions) return;
    const std::int64_t begin = args.batch.first + blockIdx.x * joined_tiles;
    const std::int64_t end = least(begin + joined_tiles, args.batch.side);
    walker walk(args.class_begin, args.class_of[position], args.own + position, walk_state());
    walk.join(args.tile_classes[2 * begin], args.tile_classes[2 * end - 1]);
#pragma unroll 4
    for (std::int64_t other = begin; other < end; ++other) pass_tile(walk, args, mine, other);
    args.joined[(std::int64_t(blockIdx.y) * gridDim.x + blockIdx.x) * tile_side<T> + threadIdx.x] = walk.joined();
}

// Second step: each row passes the joined stretches.
template <class T>
__global__ void __launch_bounds__(tile_side<T>)
    pass_joined_kernel(const __grid_constant__ fold_args<T> args, std::int64_t groups) {
    const std::int64_t position = (args.batch.first + blockIdx.x) * tile_side<T> + threadIdx.x;
    if (position >= args.positions) return;
    walker walk(args.class_begin, args.class_of[position], args.own + position, args.states[position]);
#pragma unroll 4
    for (std::int64_t group = 0; group < groups; ++group) {
        const std::int64_t begin = args.batch.first + group * joined_tiles;
        const std::int64_t end = least(begin + joined_tiles, args.batch.side);
        walk.pass(stretch{least(end * tile_side<T>, args.positions), args.tile_classes[2 * begin],
                          args.tile_classes[2 * end - 1]},
                  args.joined[(blockIdx.x * groups + group) * tile_side<T> + threadIdx.x]);
    }
    args.states[position] = walk.state();
}

__global__ void __launch_bounds__(block_threads) clear_kernel(walk_state* states, double* own, std::int64_t positions) {
    const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
    if (i >= positions) return;
    states[i] = walk_state();
    own[i] = 0;
}

__global__ void __launch_bounds__(block_threads)
    finish_kernel(const walk_state* states, const double* own, const std::int64_t* class_begin,
                  const std::int64_t* class_of, const std::int64_t* order, std::int64_t positions, double* samples) {
    const std::int64_t i = std::int64_t(blockIdx.x) * block_threads + threadIdx.x;
    if (i >= positions) return;
    const std::int64_t c = class_of[i], size = class_begin[c + 1] - class_begin[c];
    samples[order[i]] = size == 1 ? 0 : silhouette_of(own[i] / double(size - 1), states[i].nearest);
}

unsigned blocks_for(std::int64_t count) { return static_cast<unsigned>(ceil_div(count, block_threads)); }

std::int64_t groups_of(const tile_batch& batch) { return ceil_div(batch.columns(), joined_tiles); }

}  // namespace

template <class T>
std::int64_t joined_sums(const tile_batch& batch) {
    return batch.rows * groups_of(batch) * tile_side<T>;
}

template <class T>
void fold(const fold_args<T>& args, cudaStream_t stream) {
    const std::int64_t groups = groups_of(args.batch), behind = args.batch.columns() - args.batch.rows;
    const auto rows = static_cast<unsigned>(args.batch.rows);
    join_kernel<T><<<dim3(static_cast<unsigned>(groups), rows), tile_side<T>, 0, stream>>>(args);
    check_launch("joining sums");
    pass_joined_kernel<T><<<rows, tile_side<T>, 0, stream>>>(args, groups);
    check_launch("folding joined sums");
    if (behind == 0) return;
    fold_kernel<T><<<static_cast<unsigned>(behind), tile_side<T>, 0, stream>>>(args);
    check_launch("folding sums");
}

void clear_states(walk_state* states, double* own, std::int64_t positions, cudaStream_t stream) {
    clear_kernel<<<blocks_for(positions), block_threads, 0, stream>>>(states, own, positions);
    check_launch("clearing sums");
}

void finish(const walk_state* states, const double* own, const std::int64_t* class_begin, const std::int64_t* class_of,
            const std::int64_t* order, std::int64_t positions, double* samples, cudaStream_t stream) {
    finish_kernel<<<blocks_for(positions), block_threads, 0, stream>>>(states, own, class_begin, class_of, order,
                                                                       positions, samples);
    check_launch("computing silhouettes");
}

template std::int64_t joined_sums<float>(const tile_batch&);
template std::int64_t joined_sums<double>(const tile_batch&);
template void fold(const fold_args<float>&, cudaStream_t);
template void fold(const fold_args<double>&, cudaStream_t);

}  // namespace zoorank::cuda
