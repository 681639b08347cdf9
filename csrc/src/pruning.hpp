#pragma once
// Exact Euclidean silhouettes without all pairs: bounds rule out most classes for most rows (docs/pruning.md).
#include <cstdint>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

#include "cpu/kernels.hpp"
#include "partition.hpp"

namespace zoorank {

/// Of how many directions of each class bounds are taken: in a first level for all classes, and in a second one for
/// those that are left.
struct pruning_levels {
    std::int64_t few = 0, all = 0;
};

/// What suits rows of so many features in so many classes.
pruning_levels levels_for(std::int64_t rows, std::int64_t cols, std::int64_t classes);

/// Shares of pairs of a row and a class other than its own, left by each level.
struct pruning_shares {
    double few = 1, all = 1, reduced = 1;
};

/// What all pairs cost, and what pruning does, in multiply-adds of vectors; with pairs on the matrix unit or on
/// vectors.
double cost_of_all_pairs(std::int64_t rows, std::int64_t cols, bool tiles);
double cost_of_describing(std::int64_t rows, std::int64_t cols);  // in directions
double cost_of_pruning(const partition& p, std::int64_t cols, bool tiles, const pruning_levels& levels,
                       double pairs_within_units, const pruning_shares& left);

/// The same silhouettes as silhouettes_by_pairs(), from as many pairs as opt.pairs says. Writes their number to
/// opt.pairs_evaluated.
template <class T>
void silhouettes_of_needed_pairs(matrix_view<T> x, const partition& p, const cpu::kernel_set<T>& kernels,
                                 array_view<double> samples, int threads, const options& opt);

}  // namespace zoorank
