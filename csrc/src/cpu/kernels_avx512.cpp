// AVX-512 (F, BW, DQ, VL).
#include "cpu/avx512_intrinsics.hpp"
#include "cpu/kernels.hpp"

#include <utility>

namespace zoorank::cpu {
namespace {

#include "cpu/simd_avx512.inl"

#include "cpu/kernel_set.inl"

}  // namespace

extern const kernel_table kernels_avx512{"avx512", make_kernel_set<float>(), make_kernel_set<double>(), {}};

}  // namespace zoorank::cpu
