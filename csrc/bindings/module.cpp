#include "register.hpp"

PYBIND11_MODULE(_core, module) {
    using namespace zoorank::bindings;
    register_build_info(module);
    register_silhouette(module);
    register_distances(module);
    register_estimate(module);
    register_limits(module);
}
