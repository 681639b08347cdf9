// AVX-512 (F, BW, DQ, VL).
#include "cpu/kernels.hpp"

// GCC 12's header starts some intrinsics from a register left undefined on purpose, and warns of it when inlined.
#pragma GCC diagnostic ignored "-Wuninitialized"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

namespace zoorank::cpu {
namespace {

#include "cpu/simd_avx512.inl"

#include "cpu/kernel_set.inl"

}  // namespace

extern const kernel_table kernels_avx512{"avx512", make_kernel_set<float>(), make_kernel_set<double>(), {}};

}  // namespace zoorank::cpu
