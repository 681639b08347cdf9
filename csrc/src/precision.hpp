#pragma once
// Which kernels compute Euclidean distances between float rows.
#include <zoorank/metric.hpp>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

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

/// Whether bf16x3 gets the distances right between a few of the rows x[order[0]], ..., x[order[count - 1]], evenly
/// spaced: to 1e-6, in root mean square, of those that are not recomputed anyway.
bool bf16x3_suffices(matrix_view<float> x, const std::int64_t* order, std::int64_t count);

}  // namespace zoorank
