#include <zoorank/metric.hpp>

#include "names.hpp"

namespace zoorank {

metric parse_metric(const std::string& name) { return value_named<metric>(metric_names, name, "metric"); }

}  // namespace zoorank
