#include <zoorank/metric.hpp>

#include <stdexcept>

#include "names.hpp"

namespace zoorank {

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
