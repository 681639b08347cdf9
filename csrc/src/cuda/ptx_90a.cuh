#pragma once
// What compute capability 9.0 has beside ptx.cuh: barriers in shared memory, copies in bulk that announce themselves at
// them, and products of warpgroups. For files that are compiled for sm_90a alone.
#include "cuda/ptx.cuh"

namespace zoorank::cuda {

__device__ __forceinline__ void init_barrier(std::uint32_t barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void arrive_at_barrier(std::uint32_t barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
/// Arrives, and lets the phase wait for that many bytes of copies too.
__device__ __forceinline__ void arrive_and_expect(std::uint32_t barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
/// Waits for the end of the phase of that parity; a barrier begins in phase 0.
__device__ __forceinline__ void wait_at_barrier(std::uint32_t barrier, unsigned parity) {
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

__device__ __forceinline__ void publish_barriers() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");  // for the copy engine
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
/// Among the first `Threads` threads of the block.
template <int Threads>
__device__ __forceinline__ void sync_first_threads() {
    asm volatile("bar.sync 1, %0;" ::"n"(Threads) : "memory");
}

/// Of an operand in shared memory, rows of 128 bytes in the 128-byte swizzle: its address and the stride of 1024 bytes
/// between groups of eight rows. The leading stride does not matter then.
__device__ __forceinline__ std::uint64_t descriptor(std::uint32_t address) {
    constexpr std::uint64_t rows_stride = std::uint64_t(1024 / 16) << 32, leading = std::uint64_t(1) << 16,
                            swizzle_128 = std::uint64_t(1) << 62;
    return ((address & 0x3ffff) >> 4) | leading | rows_stride | swizzle_128;
}

inline constexpr int wide_products = 16;
using wide_accumulators = float[wide_products][4];

__device__ __forceinline__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

/// Adds, some time before wait_for_products(), the product of a, 64 rows of 16 features, and b, 128 rows of 16
/// features. Warp w of the four has rows 16 w + lane / 4 and those 8 further down, columns 8 j + 2 (lane % 4) and the
/// next, in the order of multiply_fragments().
__device__ __forceinline__ void multiply_wide(wide_accumulators& sums, std::uint64_t a, std::uint64_t b) {
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

/// Until the end of the last product the accumulators are the hardware's: no instruction may be moved across.
__device__ __forceinline__ void hold(wide_accumulators& sums) {
#pragma unroll
    for (int j = 0; j < wide_products; ++j)
#pragma unroll
        for (int i = 0; i < 4; ++i) asm volatile("" : "+f"(sums[j][i])::"memory");
}

template <int Pending>
__device__ __forceinline__ void wait_for_products() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}

}  // namespace zoorank::cuda
