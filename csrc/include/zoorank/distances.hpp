#pragma once
#include <zoorank/export.hpp>
#include <zoorank/metric.hpp>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

namespace zoorank {

/// Writes the distance of row i of `x` to row j of `y` to out[i * y.rows + j]. Any metric but precomputed.
/// Throws std::invalid_argument for widths that differ and for values that are not finite.
ZOORANK_API void pairwise_distances(matrix_view<float> x, matrix_view<float> y, array_view<float> out,
                                    metric how = metric::euclidean, const options& opt = {});
ZOORANK_API void pairwise_distances(matrix_view<double> x, matrix_view<double> y, array_view<double> out,
                                    metric how = metric::euclidean, const options& opt = {});

}  // namespace zoorank
