#include <zoorank/metric.hpp>

#include <stdexcept>

namespace zoorank {

metric parse_metric(const std::string& name) {
    std::string valid;
    for (std::size_t i = 0; i < metric_names.size(); ++i) {
        if (name == metric_names[i]) return static_cast<metric>(i);
        valid += (i ? ", " : "") + std::string(metric_names[i]);
    }
    throw std::invalid_argument("unknown metric '" + name + "'; valid metrics are " + valid);
}

}  // namespace zoorank
