// AVX2 and FMA.
#include "cpu/kernels.hpp"

#include <immintrin.h>
#include <utility>

namespace zoorank::cpu {
namespace {

template <class T>
struct simd;

template <>
struct simd<float> {
    using vec = float __attribute__((vector_size(32)));
    using index = std::int32_t __attribute__((vector_size(32)));
    static constexpr int width = 8, tile_rows = 4, tile_vectors = 3;
    static vec root(vec x) { return _mm256_sqrt_ps(max(x, vec{})); }
    static vec max(vec a, vec b) { return _mm256_max_ps(a, b); }
    static vec min(vec a, vec b) { return _mm256_min_ps(a, b); }
    static bool any_negative(vec x) { return _mm256_movemask_ps(x) != 0; }
    static float sum(vec x) {
        __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
        s = _mm_add_ps(s, _mm_movehl_ps(s, s));
        return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
    }
};

template <>
struct simd<double> {
    using vec = double __attribute__((vector_size(32)));
    using index = std::int64_t __attribute__((vector_size(32)));
    static constexpr int width = 4, tile_rows = 4, tile_vectors = 3;
    static vec widened(const float* p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
    static vec root(vec x) { return _mm256_sqrt_pd(max(x, vec{})); }
    static vec max(vec a, vec b) { return _mm256_max_pd(a, b); }
    static vec min(vec a, vec b) { return _mm256_min_pd(a, b); }
    static bool any_negative(vec x) { return _mm256_movemask_pd(x) != 0; }
    static double sum(vec x) {
        const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
        return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
    }
};

#include "cpu/kernel_set.inl"

}  // namespace

extern const kernel_table kernels_avx2{"avx2", make_kernel_set<float>(), make_kernel_set<double>(), {}};

}  // namespace zoorank::cpu
