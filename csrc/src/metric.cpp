#include <zoorank/metric.hpp>

#include <stdexcept>

#include "names.hpp"

namespace zoorank {
namespace {

// Whether there is code for what a metric adds up: without, it would be taken for its nearest neighbour. By means there
// is for rows and for their directions; by pairs for roots of squares and for magnitudes, of rows alone.
constexpr bool is_computed(const metric_facts& facts) {
    if (facts.from_means()) return true;
    switch (facts.of) {
        case summand::square:
            return facts.root && !facts.directions;
        case summand::magnitude:
        case summand::none:
            return !facts.root && !facts.directions;
    }
    return false;
}

constexpr bool all_are_computed() {
    for (const metric_facts& facts : metrics)
        if (!is_computed(facts)) return false;
    return true;
}

static_assert(all_are_computed(), "a metric without kernels: CONTRIBUTING.md says where they go");

}  // namespace

const metric_facts& facts_of(metric how) {
    const auto number = static_cast<std::size_t>(how);
    if (number >= metrics.size())
        throw std::invalid_argument("unknown metric number " + std::to_string(static_cast<int>(how)));
    return metrics[number];
}

metric parse_metric(const std::string& name) {
    return value_named<metric>(metrics, [](const metric_facts& facts) { return facts.name; }, name, "metric");
}

}  // namespace zoorank
