// Sums of Euclidean distances on the tensor cores of compute capability 9.0: wgmma m64n128k16, bfloat16 in, float32
// accumulated. Compiled for sm_90a alone.
//
// Two warpgroups share a tile of 128 x 128: each takes 64 rows and all columns, 64 accumulators a thread. A ninth warp
// keeps the pipeline full: a stage is two bulk copies of 16 KB, one of each side, that announce themselves at the
// stage's `full` barrier; the eight other warps say at its `empty` barrier that they have done with it. Images in
// memory are already laid out as wgmma reads them, K-major with the 128-byte swizzle, so neither a tensor map nor a
// register is spent on addresses: a descriptor is the image's address, the 1024 bytes from one group of eight rows to
// the next, and the mode. 16 features are 32 bytes further along a row.
#include "cuda/launch.cuh"
#include "cuda/ptx_90a.cuh"
#include "cuda/split_tile.cuh"

namespace zoorank::cuda {
namespace {

using shape = split_shape;
constexpr int group_threads = 128, group_rows = 64;
constexpr int threads = block_threads + 32;
constexpr int barrier_bytes = 2 * shape::stages * 8, alignment = 1024;
constexpr int shared_bytes = shape::shared_bytes + alignment + barrier_bytes;
static_assert(8 * wide_products == shape::side && 2 * group_threads == block_threads && 2 * group_rows == shape::side,
              "two warpgroups cover the tile");
static_assert(resident_blocks(shared_bytes) == 2, "two blocks a multiprocessor");

struct pipeline {
    std::uint32_t stages, barriers;

    __device__ std::uint32_t stage(int s) const { return stages + s * shape::stage_bytes; }
    __device__ std::uint32_t full(int s) const { return barriers + 16 * s; }
    __device__ std::uint32_t empty(int s) const { return barriers + 16 * s + 8; }
};

// One lane of the ninth warp.
__device__ __forceinline__ void produce(const pipeline& p, const unsigned char* a, const unsigned char* b, int blocks) {
    int s = 0;
    unsigned parity = 1;  // of the phase before the first: stages begin empty
    for (int block = 0; block < blocks; ++block) {
        wait_at_barrier(p.empty(s), parity);
        arrive_and_expect(p.full(s), shape::stage_bytes);
        copy_in_bulk(p.stage(s), a + std::int64_t(block) * split::image_bytes, split::image_bytes, p.full(s));
        copy_in_bulk(p.stage(s) + split::image_bytes, b + std::int64_t(block) * split::image_bytes, split::image_bytes,
                     p.full(s));
        if (++s == shape::stages) s = 0, parity ^= 1;
    }
}

// A warpgroup. Products of one stage run while those of the next are issued.
__device__ __forceinline__ void consume(const pipeline& p, int group, int blocks, wide_accumulators& sums) {
    constexpr std::uint64_t step = 2 * split::chunk_bytes / 16, lo = 4 * split::chunk_bytes / 16;
    const bool speaks = threadIdx.x % 32 == 0;
    int s = 0, previous = 0;
    unsigned parity = 0;
    for (int block = 0; block < blocks; ++block) {
        wait_at_barrier(p.full(s), parity);
        const std::uint64_t a = descriptor(p.stage(s) + group * group_rows * split::row_bytes);
        const std::uint64_t b = descriptor(p.stage(s) + split::image_bytes);
        hold(sums);
        begin_products();
#pragma unroll
        for (std::uint64_t k = 0; k < lo; k += step) {
            multiply_wide(sums, a + k, b + k);
            multiply_wide(sums, a + k, b + lo + k);
            multiply_wide(sums, a + lo + k, b + k);
        }
        commit_products();
        hold(sums);
        wait_for_products<1>();
        if (block > 0 && speaks) arrive_at_barrier(p.empty(previous));
        previous = s;
        if (++s == shape::stages) s = 0, parity ^= 1;
    }
    wait_for_products<0>();
    hold(sums);
}

__global__ void __launch_bounds__(threads, 2) split_sums_kernel(const __grid_constant__ sums_args<float> args) {
    const tile_index tile = args.batch.at(blockIdx.x);
    if (!args.batch.computes(tile)) return;
    unsigned char* unaligned = dynamic_shared();
    const std::uint32_t skip = (alignment - shared_address(unaligned) % alignment) % alignment;
    unsigned char* shared = unaligned + skip;
    const pipeline p{shared_address(shared), shared_address(shared) + shape::shared_bytes};
    if (threadIdx.x == 0) {
        for (int s = 0; s < shape::stages; ++s) {
            init_barrier(p.full(s), 1);
            init_barrier(p.empty(s), block_threads / 32);
        }
        publish_barriers();
    }
    __syncthreads();

    const int blocks = static_cast<int>(split::blocks(args.rows.from.depth));
    const std::int64_t first_row = tile.row * shape::side, first_col = tile.col * shape::side;
    float* distances = reinterpret_cast<float*>(shared);
    bool spoilt = false;
    if (threadIdx.x >= block_threads) {
        if (threadIdx.x == block_threads)
            produce(p, images_of(args.rows, tile.row, blocks), images_of(args.cols, tile.col, blocks), blocks);
        __syncwarp();
    } else {
        const int group = threadIdx.x / group_threads, warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
        wide_accumulators sums = {};
        consume(p, group, blocks, sums);
        // Both groups have read all stages: distances may take their place.
        sync_first_threads<block_threads>();
        const int row = group * group_rows + 16 * warp + lane / 4;
#pragma unroll
        for (int j = 0; j < wide_products; ++j)
            place_fragment(sums[j], row, 8 * j + lane % 4 * 2, args.rows.norms + first_row, args.cols.norms + first_col,
                           args.batch.on_diagonal(tile), distances, spoilt);
    }
    settle(spoilt, distances, args.rows.from, first_row, args.cols.from, first_col, true);
    emit_sums(distances, args, tile, blockIdx.x);
}

}  // namespace

void sum_euclidean_wgmma(const sums_args<float>& args, cudaStream_t stream) {
    launch("computing distances", split_sums_kernel, {args.batch.tiles(), threads, shared_bytes}, stream, args);
}

bool wgmma_built() { return true; }

}  // namespace zoorank::cuda
