// Sums of Euclidean distances on the tensor cores of every device from 8.0 on: mma.sync m16n8k16, bfloat16 in, float32
// accumulated.
//
// Eight warps share a tile of 128 x 128: warp w takes rows 64 * (w / 4) and columns 32 * (w % 4), as 4 x 4 products of
// m16n8, 64 accumulators a thread. Operands come from shared memory by ldmatrix: lane l hands in the address of one row
// of eight features, and the swizzle of the image puts eight rows at one chunk into all 32 banks.
//
//     A, m16 x k16    lane l: row l % 16, chunk l / 16            -> registers (row, k), (row + 8, k), (row, k + 8),
//     both B, two n8 x k16 lane l: row l % 8 + l / 16 * 8, chunk l / 8 % 2  -> the two registers of each product
//
// A step of 16 features reads hi of both sides, multiplies, reads lo of the columns, multiplies, reads lo of the rows
// in place of hi, multiplies: never more than 32 registers of operands at a time.
#include "cuda/copies.cuh"
#include "cuda/launch.cuh"
#include "cuda/split_tile.cuh"

namespace zoorank::cuda {
namespace {

using shape = split_shape;
constexpr int warp_rows = 64, warp_cols = 32, row_products = warp_rows / 16, col_products = warp_cols / 8;
static_assert((shape::side / warp_rows) * (shape::side / warp_cols) * 32 == block_threads, "the warps cover the tile");

struct fragments_a {
    unsigned of[row_products][4];
    __device__ __forceinline__ void load(std::uint32_t first_row, int chunk, int lane) {
        const std::uint32_t place = ((chunk + lane / 16) ^ (lane & 7)) * split::chunk_bytes;
#pragma unroll
        for (int i = 0; i < row_products; ++i) load_matrices(of[i], first_row + i * 16 * split::row_bytes + place);
    }
};

struct fragments_b {
    unsigned of[col_products / 2][4];
    __device__ __forceinline__ void load(std::uint32_t first_row, int chunk, int lane) {
        const std::uint32_t place = ((chunk + lane / 8 % 2) ^ (lane & 7)) * split::chunk_bytes;
#pragma unroll
        for (int j = 0; j < col_products / 2; ++j) load_matrices(of[j], first_row + j * 16 * split::row_bytes + place);
    }
};

using accumulators = float[row_products][col_products][4];

__device__ __forceinline__ void multiply_all(accumulators& sums, const fragments_a& a, const fragments_b& b) {
#pragma unroll
    for (int i = 0; i < row_products; ++i)
#pragma unroll
        for (int j = 0; j < col_products; ++j)
            multiply_fragments(sums[i][j], a.of[i], b.of[j / 2][j % 2 * 2], b.of[j / 2][j % 2 * 2 + 1]);
}

__device__ __forceinline__ void accumulate(const unsigned char* a, const unsigned char* b, int blocks,
                                           unsigned char* shared, accumulators& sums) {
    constexpr int lo = split::features / split::chunk_features;  // chunks from hi to lo
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const std::uint32_t row_a = (warp / 4 * warp_rows + lane % 16) * split::row_bytes;
    const std::uint32_t row_b =
        split::image_bytes + (warp % 4 * warp_cols + lane % 8 + lane / 16 * 8) * split::row_bytes;
    const std::uint32_t base = shared_address(shared);
    // Of the next stage to fill: its place in the ring, and where its operands come from.
    int filling = 0;
    int left = blocks;
    const auto fetch = [&] {
        if (left > 0) {
            unsigned char* stage = shared + filling * shape::stage_bytes;
            copy_together<split::image_bytes, block_threads>(stage, a);
            copy_together<split::image_bytes, block_threads>(stage + split::image_bytes, b);
            a += split::image_bytes;
            b += split::image_bytes;
            --left;
        }
        if (++filling == shape::stages) filling = 0;
        commit_copies();  // empty groups keep the count of pending ones right
    };
#pragma unroll
    for (int s = 0; s < shape::stages - 1; ++s) fetch();
    int reading = 0;
    for (int block = 0; block < blocks; ++block) {
        wait_for_copies<shape::stages - 2>();
        __syncthreads();  // the stage is there for all, and all have done with the one that is filled next
        fetch();
        const std::uint32_t stage = base + reading * shape::stage_bytes;
        if (++reading == shape::stages) reading = 0;
#pragma unroll
        for (int chunk = 0; chunk < lo; chunk += 2) {
            fragments_a rows;
            fragments_b cols, cols_lo;
            rows.load(stage + row_a, chunk, lane);
            cols.load(stage + row_b, chunk, lane);
            multiply_all(sums, rows, cols);
            cols_lo.load(stage + row_b, lo + chunk, lane);
            multiply_all(sums, rows, cols_lo);
            rows.load(stage + row_a, lo + chunk, lane);
            multiply_all(sums, rows, cols);
        }
    }
    wait_for_copies<0>();
    __syncthreads();
}

__global__ void __launch_bounds__(block_threads, resident_blocks(shape::shared_bytes))
    split_sums_kernel(const __grid_constant__ sums_args<float> args) {
    const tile_index tile = args.batch.at(blockIdx.x);
    if (!args.batch.computes(tile)) return;
    unsigned char* shared = dynamic_shared();
    const int blocks = static_cast<int>(split::blocks(args.rows.from.depth));
    accumulators sums = {};
    accumulate(images_of(args.rows, tile.row, blocks), images_of(args.cols, tile.col, blocks), blocks, shared, sums);

    float* distances = reinterpret_cast<float*>(shared);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const std::int64_t first_row = tile.row * shape::side, first_col = tile.col * shape::side;
    bool spoilt = false;
#pragma unroll
    for (int i = 0; i < row_products; ++i)
#pragma unroll
        for (int j = 0; j < col_products; ++j)
            place_fragment(sums[i][j], warp / 4 * warp_rows + 16 * i + lane / 4,
                           warp % 4 * warp_cols + 8 * j + lane % 4 * 2, args.rows.norms + first_row,
                           args.cols.norms + first_col, args.batch.on_diagonal(tile), distances, spoilt);
    settle(spoilt, distances, args.rows.from, first_row, args.cols.from, first_col, true);
    emit_sums(distances, args, tile, blockIdx.x);
}

}  // namespace

void sum_euclidean_mma(const sums_args<float>& args, cudaStream_t stream) {
    launch("computing distances", split_sums_kernel, {args.batch.tiles(), block_threads, shape::shared_bytes}, stream,
           args);
}

}  // namespace zoorank::cuda
