// Vectors of 16 bytes, left to the compiler: SSE2, NEON or whatever there is.

template <class T>
struct simd;

// What the compiler has no vector operator for, lane by lane; it vectorises these loops where it can.
template <class Vec, class T, int Width>
struct lane_by_lane {
    static constexpr int width = Width;
    static Vec max(Vec a, Vec b) { return a > b ? a : b; }
    static Vec min(Vec a, Vec b) { return a < b ? a : b; }
    static bool any_negative(Vec x) {
        bool any = false;
        for (int i = 0; i < width; ++i) any |= x[i] < 0;
        return any;
    }
    static T sum(Vec x) {
        T s = x[0];
        for (int i = 1; i < width; ++i) s += x[i];
        return s;
    }
};

using float4 = float __attribute__((vector_size(16)));
using double2 = double __attribute__((vector_size(16)));

template <>
struct simd<float> : lane_by_lane<float4, float, 4> {
    using vec = float4;
    using index = std::int32_t __attribute__((vector_size(16)));
    static constexpr int tile_rows = 4, tile_vectors = 2;
    static vec root(vec x) {
        x = max(x, vec{});
        for (int i = 0; i < width; ++i) x[i] = ::sqrtf(x[i]);
        return x;
    }
};

template <>
struct simd<double> : lane_by_lane<double2, double, 2> {
    using vec = double2;
    using index = std::int64_t __attribute__((vector_size(16)));
    static constexpr int tile_rows = 2, tile_vectors = 3;
    static vec widened(const float* p) { return vec{p[0], p[1]}; }
    static vec root(vec x) {
        x = max(x, vec{});
        for (int i = 0; i < width; ++i) x[i] = ::sqrt(x[i]);
        return x;
    }
};
