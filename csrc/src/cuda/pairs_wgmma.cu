// Sums of Euclidean distances on the tensor cores of compute capability 9.0: wgmma m64n128k16, bfloat16 in, float32
// accumulated. Compiled for sm_90a alone.
//
// Two warpgroups share a tile of 128 x 128: each takes 64 rows and all columns, 64 accumulators a thread. A ninth warp
// keeps the pipeline full: a stage is two bulk copies of 16 KB, one of each side, that announce themselves at the
// stage's `full` barrier; the eight other warps say at its `empty` barrier that they have done with it. Images in
// memory are already laid out as wgmma reads them, K-major with the 128-byte swizzle, so neither a tensor map nor a
// register is spent on addresses: a descriptor is the image's address, the 1024 bytes from one group of eight rows to
// the next, and the mode. 16 features are 32 bytes further along a row.
#include "cuda/async.cuh"
#include "cuda/device.hpp"
#include "cuda/split_tile.cuh"

namespace zoorank::cuda {
namespace {

using shape = split_shape;
constexpr int group_threads = 128, group_rows = 64, col_products = shape::side / 8;
constexpr int threads = block_threads + 32;
constexpr int barrier_bytes = 2 * shape::stages * 8, alignment = 1024;
constexpr int shared_bytes = shape::shared_bytes + alignment + barrier_bytes;
static_assert(2 * group_threads == block_threads && 2 * group_rows == shape::side, "two warpgroups cover the tile");
static_assert(resident_blocks(shared_bytes) == 2, "two blocks a multiprocessor");

__device__ __forceinline__ void init_barrier(std::uint32_t barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void arrive(std::uint32_t barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ __forceinline__ void arrive_and_expect(std::uint32_t barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
// Waits for the end of the phase of that parity; a barrier begins in phase 0.
__device__ __forceinline__ void wait(std::uint32_t barrier, unsigned parity) {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra again;\n"
        "}" ::"r"(barrier),
        "r"(parity)
        : "memory");
}
__device__ __forceinline__ void copy_in_bulk(std::uint32_t shared, const void* global, int bytes,
                                             std::uint32_t barrier) {
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared),
        "l"(global), "r"(bytes), "r"(barrier)
        : "memory");
}

// Address, stride of 1024 bytes between groups of eight rows, 128-byte swizzle; the leading stride does not matter
// then.
__device__ __forceinline__ std::uint64_t descriptor(std::uint32_t address) {
    constexpr std::uint64_t rows_stride = std::uint64_t(8 * split::row_bytes / 16) << 32,
                            leading = std::uint64_t(1) << 16, swizzle_128 = std::uint64_t(1) << 62;
    return ((address & 0x3ffff) >> 4) | leading | rows_stride | swizzle_128;
}

using accumulators = float[col_products][4];

__device__ __forceinline__ void multiply(accumulators& sums, std::uint64_t a, std::uint64_t b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
        "%64, %65, 1, 1, 1, 0, 0;"
        : "+f"(sums[0][0]), "+f"(sums[0][1]), "+f"(sums[0][2]), "+f"(sums[0][3]), "+f"(sums[1][0]), "+f"(sums[1][1]),
          "+f"(sums[1][2]), "+f"(sums[1][3]), "+f"(sums[2][0]), "+f"(sums[2][1]), "+f"(sums[2][2]), "+f"(sums[2][3]),
          "+f"(sums[3][0]), "+f"(sums[3][1]), "+f"(sums[3][2]), "+f"(sums[3][3]), "+f"(sums[4][0]), "+f"(sums[4][1]),
          "+f"(sums[4][2]), "+f"(sums[4][3]), "+f"(sums[5][0]), "+f"(sums[5][1]), "+f"(sums[5][2]), "+f"(sums[5][3]),
          "+f"(sums[6][0]), "+f"(sums[6][1]), "+f"(sums[6][2]), "+f"(sums[6][3]), "+f"(sums[7][0]), "+f"(sums[7][1]),
          "+f"(sums[7][2]), "+f"(sums[7][3]), "+f"(sums[8][0]), "+f"(sums[8][1]), "+f"(sums[8][2]), "+f"(sums[8][3]),
          "+f"(sums[9][0]), "+f"(sums[9][1]), "+f"(sums[9][2]), "+f"(sums[9][3]), "+f"(sums[10][0]), "+f"(sums[10][1]),
          "+f"(sums[10][2]), "+f"(sums[10][3]), "+f"(sums[11][0]), "+f"(sums[11][1]), "+f"(sums[11][2]),
          "+f"(sums[11][3]), "+f"(sums[12][0]), "+f"(sums[12][1]), "+f"(sums[12][2]), "+f"(sums[12][3]),
          "+f"(sums[13][0]), "+f"(sums[13][1]), "+f"(sums[13][2]), "+f"(sums[13][3]), "+f"(sums[14][0]),
          "+f"(sums[14][1]), "+f"(sums[14][2]), "+f"(sums[14][3]), "+f"(sums[15][0]), "+f"(sums[15][1]),
          "+f"(sums[15][2]), "+f"(sums[15][3])
        : "l"(a), "l"(b));
}

// Until the end of the last product the accumulators are the hardware's: no instruction may be moved across.
__device__ __forceinline__ void hold(accumulators& sums) {
#pragma unroll
    for (int j = 0; j < col_products; ++j)
#pragma unroll
        for (int i = 0; i < 4; ++i) asm volatile("" : "+f"(sums[j][i])::"memory");
}

template <int Pending>
__device__ __forceinline__ void wait_for_products() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}

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
        wait(p.empty(s), parity);
        arrive_and_expect(p.full(s), shape::stage_bytes);
        copy_in_bulk(p.stage(s), a + std::int64_t(block) * split::image_bytes, split::image_bytes, p.full(s));
        copy_in_bulk(p.stage(s) + split::image_bytes, b + std::int64_t(block) * split::image_bytes, split::image_bytes,
                     p.full(s));
        if (++s == shape::stages) s = 0, parity ^= 1;
    }
}

// A warpgroup. Products of one stage run while those of the next are issued.
__device__ __forceinline__ void consume(const pipeline& p, int group, int blocks, accumulators& sums) {
    constexpr std::uint64_t step = 2 * split::chunk_bytes / 16, lo = 4 * split::chunk_bytes / 16;
    const bool speaks = threadIdx.x % 32 == 0;
    int s = 0, previous = 0;
    unsigned parity = 0;
    for (int block = 0; block < blocks; ++block) {
        wait(p.full(s), parity);
        const std::uint64_t a = descriptor(p.stage(s) + group * group_rows * split::row_bytes);
        const std::uint64_t b = descriptor(p.stage(s) + split::image_bytes);
        hold(sums);
        asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
        for (std::uint64_t k = 0; k < lo; k += step) {
            multiply(sums, a + k, b + k);
            multiply(sums, a + k, b + lo + k);
            multiply(sums, a + lo + k, b + k);
        }
        asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
        hold(sums);
        wait_for_products<1>();
        if (block > 0 && speaks) arrive(p.empty(previous));
        previous = s;
        if (++s == shape::stages) s = 0, parity ^= 1;
    }
    wait_for_products<0>();
    hold(sums);
}

__global__ void __launch_bounds__(threads, 2) split_sums_kernel(const __grid_constant__ sums_args<float> args) {
    extern __shared__ unsigned char unaligned[];
    const tile_index tile = args.batch.at(blockIdx.x);
    if (tile.row > tile.col) return;
    const std::uint32_t skip = (alignment - shared_address(unaligned) % alignment) % alignment;
    unsigned char* shared = unaligned + skip;
    const pipeline p{shared_address(shared), shared_address(shared) + shape::shared_bytes};
    if (threadIdx.x == 0) {
        for (int s = 0; s < shape::stages; ++s) {
            init_barrier(p.full(s), 1);
            init_barrier(p.empty(s), block_threads / 32);
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");  // for the copy engine
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    }
    __syncthreads();

    const int blocks = static_cast<int>(split::blocks(args.rows.from.depth));
    const std::int64_t first_row = tile.row * shape::side, first_col = tile.col * shape::side;
    float* distances = reinterpret_cast<float*>(shared);
    bool spoilt = false;
    if (threadIdx.x >= block_threads) {
        const unsigned char* packed = static_cast<const unsigned char*>(args.rows.packed);
        if (threadIdx.x == block_threads)
            produce(p, packed + split::image_offset(tile.row, 0, blocks),
                    packed + split::image_offset(tile.col, 0, blocks), blocks);
        __syncwarp();
    } else {
        const int group = threadIdx.x / group_threads, warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
        accumulators sums = {};
        consume(p, group, blocks, sums);
        // Both groups have read all stages: distances may take their place.
        asm volatile("bar.sync 1, %0;" ::"n"(block_threads) : "memory");
        const int row = group * group_rows + 16 * warp + lane / 4;
#pragma unroll
        for (int j = 0; j < col_products; ++j)
            place_fragment(sums[j], row, 8 * j + lane % 4 * 2, args.rows.norms + first_row, args.rows.norms + first_col,
                           tile.row == tile.col, distances, spoilt);
    }
    settle(spoilt, distances, args.rows.from, first_row, args.rows.from, first_col, true);
    emit_sums(distances, args, tile, blockIdx.x);
}

}  // namespace

void sum_euclidean_wgmma(const sums_args<float>& args, cudaStream_t stream) {
    check(cudaFuncSetAttribute(split_sums_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes),
          "preparing a kernel");
    split_sums_kernel<<<static_cast<unsigned>(args.batch.tiles()), threads, shared_bytes, stream>>>(args);
    check_launch("computing distances");
}

bool wgmma_built() { return true; }

}  // namespace zoorank::cuda
