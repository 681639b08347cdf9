#pragma once
// The ways to exact silhouettes; silhouette.cpp checks the arguments and picks one.
#include <algorithm>
#include <limits>
#include <vector>
#include <zoorank/metric.hpp>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

#include "cpu/kernels.hpp"
#include "partition.hpp"

namespace zoorank {

/// Euclidean and Manhattan: every pair of rows once, O(n^2 d) time and O(n) memory beside one packed copy of x.
template <class T>
void silhouettes_by_pairs(matrix_view<T> x, const partition& p, metric how, const cpu::kernel_set<T>& kernels,
                          array_view<double> samples, int threads, const options& opt);

/// Computes again, at positions that have vanished, what silhouettes_by_pairs() made of it: float rows in double,
/// double rows pair by pair.
template <class T>
void restore_vanished_rows(matrix_view<T> x, const partition& p, metric how, const std::vector<std::int64_t>& vanished,
                           array_view<double> samples, int threads, const options& opt);

/// Squared Euclidean and cosine: from class means, O(nKd) time.
template <class T>
void silhouettes_by_means(matrix_view<T> x, const partition& p, metric how, array_view<double> samples, int threads,
                          const options& opt);

/// Manhattan, from sorted features: O(nd(log n + K)) time; memory for twice x or 64 MB, whichever is more, and
/// some 500 bytes a row.
template <class T>
void silhouettes_by_sorting(matrix_view<T> x, const partition& p, array_view<double> samples, int threads,
                            const options& opt);

/// A square matrix of distances, which need not be symmetric: row i decides s_i. O(n^2) time.
template <class T>
void silhouettes_of_distances(matrix_view<T> distances, const partition& p, array_view<double> samples, int threads,
                              const options& opt);

/// s from the mean distance to the own class and to the nearest other one; 0/0 is 0.
inline double silhouette_of(double own, double nearest) noexcept {
    const double larger = own > nearest ? own : nearest;
    return larger > 0 ? (nearest - own) / larger : 0;
}

/// s of a row of class `own` from the sums of its distances to each class.
inline double silhouette_from_sums(const std::vector<double>& sums, std::int64_t own, const partition& p) {
    if (p.size(own) == 1) return 0;
    double nearest = std::numeric_limits<double>::infinity();
    for (std::int64_t c = 0; c < p.classes(); ++c)
        if (c != own) nearest = std::min(nearest, sums[static_cast<std::size_t>(c)] / static_cast<double>(p.size(c)));
    return silhouette_of(sums[static_cast<std::size_t>(own)] / static_cast<double>(p.size(own) - 1), nearest);
}

}  // namespace zoorank
