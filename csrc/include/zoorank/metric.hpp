#pragma once
#include <array>
#include <string>

#include <zoorank/export.hpp>

namespace zoorank {

enum class metric { euclidean, sqeuclidean, cosine, manhattan, precomputed };

/// What a distance adds up over features: squared differences, their magnitudes; or nothing, where x holds distances.
enum class summand { square, magnitude, none };

/// What sets a metric apart. Whatever depends on the metric is decided by these facts.
struct metric_facts {
    const char* name;
    summand of;
    bool root;        ///< the root of the sum
    bool directions;  ///< between rows that are brought to length 1 first

    /// Whether mean distances to classes follow from the means and spreads of the classes.
    constexpr bool from_means() const { return of == summand::square && !root; }
};

/// Every metric, in the order of the enumeration.
inline constexpr std::array<metric_facts, 5> metrics{{
    {"euclidean", summand::square, true, false},
    {"sqeuclidean", summand::square, false, false},
    {"cosine", summand::square, false, true},
    {"manhattan", summand::magnitude, false, false},
    {"precomputed", summand::none, false, false},
}};

/// Those of one; std::invalid_argument for a number that is no metric.
ZOORANK_API const metric_facts& facts_of(metric how);

/// The metric of that name; std::invalid_argument names the valid ones otherwise.
ZOORANK_API metric parse_metric(const std::string& name);

}  // namespace zoorank
