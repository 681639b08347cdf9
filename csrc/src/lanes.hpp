#pragma once
// Sums of squares in eight lanes: a single running sum would have to be added up in order, one element at a time.
#include <array>
#include <cstdint>

namespace zoorank {

template <class Term>
double sum_in_lanes(std::int64_t count, Term term) {
    constexpr std::int64_t width = 8;
    std::array<double, width> sums{};
    std::int64_t k = 0;
    for (; k + width <= count; k += width)
        for (std::int64_t lane = 0; lane < width; ++lane) sums[static_cast<std::size_t>(lane)] += term(k + lane);
    for (; k < count; ++k) sums[0] += term(k);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

inline double squared_length(const double* x, std::int64_t count) {
    return sum_in_lanes(count, [x](std::int64_t k) { return x[k] * x[k]; });
}

inline double squared_distance(const double* x, const double* y, std::int64_t count) {
    return sum_in_lanes(count, [x, y](std::int64_t k) { return (x[k] - y[k]) * (x[k] - y[k]); });
}

}  // namespace zoorank
