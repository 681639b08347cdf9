#pragma once
// Silhouette coefficients (Rousseeuw, J. Comput. Appl. Math. 20, 1987): for sample i, with a the mean distance to the
// other members of its class and b the smallest mean distance to another class, s = (b - a) / max(a, b).
// A class of one scores 0, and so does 0/0.
#include <cstdint>
#include <vector>
#include <zoorank/export.hpp>
#include <zoorank/metric.hpp>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

namespace zoorank {

/// Writes s for each row of `x` to `samples`.
///
/// `labels` holds one integer a row, any values. float input is computed in float where that keeps |error in s| under
/// 5e-6, double input in double. For metric::precomputed, `x` is the square matrix of distances.
/// Throws std::invalid_argument for lengths that differ, values that are not finite and distances that are negative
/// (the first bad row is named), fewer than 2 or more than n - 1 classes, and, for squared Euclidean alone, values so
/// large that the squares of other rows' distances vanish beside them.
ZOORANK_API void silhouette_samples(matrix_view<float> x, array_view<const std::int64_t> labels,
                                    array_view<double> samples, metric how = metric::euclidean,
                                    const options& opt = {});
ZOORANK_API void silhouette_samples(matrix_view<double> x, array_view<const std::int64_t> labels,
                                    array_view<double> samples, metric how = metric::euclidean,
                                    const options& opt = {});

/// The mean of silhouette_samples over all rows.
ZOORANK_API double silhouette_score(matrix_view<float> x, array_view<const std::int64_t> labels,
                                    metric how = metric::euclidean, const options& opt = {});
ZOORANK_API double silhouette_score(matrix_view<double> x, array_view<const std::int64_t> labels,
                                    metric how = metric::euclidean, const options& opt = {});

/// silhouette_samples for several encodings of the same rows, under each of several metrics; threads are spread over
/// the problems when these are small. Those of `xs[p]` under `hows[m]` go to `samples[p * hows.size() + m]`, which has
/// room for one value a row.
ZOORANK_API void silhouette_batch(const std::vector<matrix_view<float>>& xs, array_view<const std::int64_t> labels,
                                  const std::vector<array_view<double>>& samples,
                                  const std::vector<metric>& hows = {metric::euclidean}, const options& opt = {});
ZOORANK_API void silhouette_batch(const std::vector<matrix_view<double>>& xs, array_view<const std::int64_t> labels,
                                  const std::vector<array_view<double>>& samples,
                                  const std::vector<metric>& hows = {metric::euclidean}, const options& opt = {});

}  // namespace zoorank
