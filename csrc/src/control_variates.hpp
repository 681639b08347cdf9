#pragma once
// Mean distances to classes from a few of their rows. With u the root of the mean squared distance of row i to class c,
// which is known, and d_ij the distances to the references j in c,
//
//     d_ij - (d_ij^2 - u^2) / (2u)  =  u - (d_ij - u)^2 / (2u),
//
// whose mean over the references is an unbiased estimate of the mean distance: what is subtracted has mean 0 over the
// class. All noise is in the second-order term, which is a hundredth of u where distances concentrate.
//
// The references come in strata of the class. Strata of which every row is a reference are taken out of the mean first,
// sum and squares: a few rows far away from the others would else decide over u and over the noise. The rest is
// estimated as above, with the u of the rest, and each stratum counts by its size.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "host_device.hpp"

namespace zoorank {

/// An estimated mean distance and the variance of the estimate.
struct mean_estimate {
    double mean, variance;
};

/// Some references of one class: of a stratum of `size` rows, `count` from `first` on are references.
struct stratum {
    std::int64_t first, count, size;
};

/// Estimates the mean distance of a row to a class, from its distances to the references of the class and the root of
/// the mean squared distance. `self`: which reference is the row itself, or -1; `own`: whether the class is its own.
template <class T>
ZOORANK_HOST_DEVICE mean_estimate estimate_of(const T* distances, const stratum* strata, std::int64_t count,
                                              double root, std::int64_t class_size, bool own, std::int64_t self) {
    double rows = static_cast<double>(class_size - (own ? 1 : 0)), sum = 0, squares = rows * root * root, rest = rows;
    for (const stratum* h = strata; h < strata + count; ++h) {
        if (h->count < h->size) continue;
        for (std::int64_t j = h->first; j < h->first + h->count; ++j) {
            if (j == self) continue;
            const double d = static_cast<double>(distances[j]);
            sum += d;
            squares -= d * d;
            rest -= 1;
        }
    }
    if (rest < 0.5 || !(squares > 0)) return {sum / rows, 0};
    const T u = static_cast<T>(std::sqrt(squares / rest));
    // Differences are taken in units near u: the fourth powers below would over- or underflow in others.
    if (u < std::numeric_limits<T>::min()) return {sum / rows, 0};
    const T per_unit = std::ldexp(T(1), -std::ilogb(u));
    double excess = 0, variance = 0, weight = 0;
    for (const stratum* h = strata; h < strata + count; ++h) {
        if (h->count == h->size) continue;
        T terms = 0, of_squares = 0;
        std::int64_t drawn = 0;
        for (std::int64_t j = h->first; j < h->first + h->count; ++j) {
            if (j == self) continue;
            const T difference = (distances[j] - u) * per_unit, term = difference * difference;
            terms += term;
            of_squares += term * term;
            ++drawn;
        }
        const double n = static_cast<double>(drawn);
        // Without the row itself; where it is no reference, its stratum is not known.
        const double size = static_cast<double>(h->size - (h->count - drawn));
        const double mean = static_cast<double>(terms) / n;
        excess += size * mean;
        weight += size;
        variance += size * (size - n) * std::max(static_cast<double>(of_squares) / n - mean * mean, 0.0) / (n - 1);
    }
    // `weight` is `rest`, or one more where the row itself lies in one of these strata and is no reference.
    const double twice = 2 * static_cast<double>(u), units = static_cast<double>(per_unit);
    const double share = rest / rows / (weight * twice * units * units);
    const double mean = (sum + rest * static_cast<double>(u)) / rows - share * excess;
    return {std::max(mean, 0.0), share * share * variance};
}

/// The standard error of s, to first order in those of the two means that it is made of.
ZOORANK_HOST_DEVICE inline double error_of(const mean_estimate& own, const mean_estimate& nearest) {
    const double less = std::min(own.mean, nearest.mean), more = std::max(own.mean, nearest.mean);
    if (!(more > 0)) return 0;
    const double of_less = less == own.mean ? own.variance : nearest.variance;
    const double of_more = less == own.mean ? nearest.variance : own.variance;
    return std::sqrt(of_less + less * less / (more * more) * of_more) / more;
}

}  // namespace zoorank
