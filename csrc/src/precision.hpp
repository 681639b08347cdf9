#pragma once
// Which kernels compute the distances of a metric, and how exactly those of Euclidean ones.
#include <zoorank/metric.hpp>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

#include <cstdint>
#include <vector>

#include "cpu/kernels.hpp"
#include "partition.hpp"

namespace zoorank {

/// Throws std::invalid_argument where bf16x3 is asked for and the instruction set in use has none.
void check_precision(const options& opt);

/// The kernels for silhouettes by pairs of rows.
template <class T>
const cpu::kernel_set<T>& kernels_for_pairs(matrix_view<T> x, const partition& p, metric how, const options& opt);

/// The kernels for single distances.
template <class T>
const cpu::kernel_set<T>& kernels_for_distances(metric how, const options& opt);

/// The kernel of a set that adds up the distances of a block by class. std::invalid_argument for a metric that is not
/// added up pair by pair.
template <class T>
auto sum_kernel(const cpu::kernel_set<T>& kernels, metric how) -> decltype(kernels.sum_euclidean);

/// The kernel of a set that writes out the distances of a block; squares for cosine, which is half of those between
/// rows of length 1. std::invalid_argument for a metric that compares no rows.
template <class T>
auto store_kernel(const cpu::kernel_set<T>& kernels, metric how) -> decltype(kernels.store_euclidean);

/// Positions, in the order of classes, of the rows by which bf16x3_suffices judges: 15 to 63 of them. It looks at the
/// ones beside them, and at those of the centre, too.
std::vector<std::int64_t> judged_rows(std::int64_t rows, std::int64_t cols);

/// Whether bf16x3 keeps s within 5e-6, judged by distances between a few rows, evenly spaced over the classes, and by
/// the size of the smallest class. False where the rows are not finite.
bool bf16x3_suffices(matrix_view<float> x, const partition& p);

}  // namespace zoorank
