#pragma once
#include <pybind11/pybind11.h>

// One function a bind_*.cpp, called by module.cpp.
namespace zoorank::bindings {

void register_silhouette(pybind11::module_& module);
void register_distances(pybind11::module_& module);
void register_estimate(pybind11::module_& module);
void register_limits(pybind11::module_& module);
void register_build_info(pybind11::module_& module);

}  // namespace zoorank::bindings
