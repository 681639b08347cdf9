#pragma once
#include <array>
#include <string>

#include <zoorank/export.hpp>

namespace zoorank {

enum class metric { euclidean, sqeuclidean, cosine, manhattan, precomputed };

/// Every metric, in the order of the enumeration.
inline constexpr std::array<const char*, 5> metric_names{"euclidean", "sqeuclidean", "cosine", "manhattan",
                                                         "precomputed"};

/// The metric of that name; std::invalid_argument names the valid ones otherwise.
ZOORANK_API metric parse_metric(const std::string& name);

}  // namespace zoorank
