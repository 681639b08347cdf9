// Whatever every processor of this architecture has: SSE2 on x86-64, NEON on 64-bit Arm, left to the compiler.
#include "cpu/kernels.hpp"

#include <math.h>  // not <cmath>: its overloads are inline functions with external linkage
#include <utility>

namespace zoorank::cpu {
namespace {

#include "cpu/simd_portable.inl"

#include "cpu/kernel_set.inl"

}  // namespace

extern const kernel_table kernels_baseline{"baseline", make_kernel_set<float>(), make_kernel_set<double>(), {}};

}  // namespace zoorank::cpu
