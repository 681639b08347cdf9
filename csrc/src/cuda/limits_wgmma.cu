// The rate of wgmma m64n128k16, both operands in shared memory. Compiled for sm_90a alone.
#include "cuda/launch.cuh"
#include "cuda/limits.cuh"
#include "cuda/ptx_90a.cuh"

namespace zoorank::cuda {
namespace {

// Two warpgroups share the columns, as in a tile of pairs: 64 rows each and 128 columns of 64 features.
constexpr int operand_bytes = 16 * 1024, alignment = 1024, shared_bytes = 2 * operand_bytes + alignment;

__global__ void __launch_bounds__(block_threads, 2) products_kernel(int rounds, float* out) {
    unsigned char* unaligned = dynamic_shared();
    unsigned char* shared = unaligned + (alignment - shared_address(unaligned) % alignment) % alignment;
    for (int i = threadIdx.x; i < 2 * operand_bytes / 4; i += block_threads)
        reinterpret_cast<unsigned*>(shared)[i] = two_values(i);
    publish_barriers();  // the tensor cores read what ordinary stores wrote
    __syncthreads();
    const int group = threadIdx.x / 128;
    const std::uint64_t a = descriptor(shared_address(shared) + group * 64 * 128);
    const std::uint64_t b = descriptor(shared_address(shared) + operand_bytes);
    wide_accumulators sums = {};
    for (int round = 0; round < rounds; ++round) {
        hold(sums);
        begin_products();
#pragma unroll
        for (std::uint64_t k = 0; k < 8; k += 2) multiply_wide(sums, a + k, b + k);
        commit_products();
        hold(sums);
        wait_for_products<0>();
    }
    hold(sums);
    float total = 0;
#pragma unroll
    for (int j = 0; j < wide_products; ++j)
#pragma unroll
        for (int i = 0; i < 4; ++i) total += sums[j][i];
    keep(total, out);
}

}  // namespace

double run_products_wgmma(int rounds, int multiprocessors, float* out, cudaStream_t stream) {
    const std::int64_t blocks = 2 * std::int64_t(multiprocessors);
    launch("measuring products", products_kernel, {blocks, block_threads, shared_bytes}, stream, rounds, out);
    return 2.0 * 64 * 128 * 64 * 2 * rounds * static_cast<double>(blocks);
}

}  // namespace zoorank::cuda
