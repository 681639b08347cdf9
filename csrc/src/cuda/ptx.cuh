#pragma once
// Every instruction that C++ has no word for, one function each: copies that run while threads compute, tensor cores
// from compute capability 8.0 on, an approximate root. What compute capability 9.0 adds is in ptx_90a.cuh. Nothing else
// in the backend is written in assembly, so that the kernels can also be compiled for a host that imitates these
// (tests/cpp/cuda_on_host).
#include <cstdint>

namespace zoorank::cuda {

/// The shared memory whose size the launch says.
__device__ __forceinline__ unsigned char* dynamic_shared() {
    extern __shared__ __align__(128) unsigned char bytes[];
    return bytes;
}

__device__ __forceinline__ std::uint32_t shared_address(const void* p) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

/// One unit of error in the last place, a fifth of the instructions of the rounded root. Squares below 2^-126 count as
/// zero: without that each root takes four instructions more.
__device__ __forceinline__ float approximate_root(float x) {
    float y;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ void copy_16_bytes(void* shared, const void* global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)), "l"(global) : "memory");
}

/// Ends a group of copies; groups finish in order.
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most `Pending` groups of this thread are under way.
template <int Pending>
__device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

/// Four matrices of 8 x 8 values of 16 bits. Lane l hands in the address of row l % 8 of matrix l / 8, and gets of each
/// matrix the two values from 2 (l % 4) on of row l / 4.
__device__ __forceinline__ void load_matrices(unsigned (&registers)[4], std::uint32_t address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(address));
}

/// Adds the product of a, 16 x 16 bfloat16, and b, 16 x 8 bfloat16. With g = lane / 4 and t = 2 (lane % 4), a lane
/// holds of a rows g, g + 8 from column t, then both from column t + 8; of b column g, rows from t and from t + 8; of
/// the sums rows g, g and g + 8, g + 8 at columns t, t + 1.
__device__ __forceinline__ void multiply_fragments(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace zoorank::cuda
