#include <zoorank/build_info.hpp>

#include <pybind11/stl.h>

#include "register.hpp"

namespace zoorank::bindings {

void register_build_info(pybind11::module_& module) {
    module.attr("__version__") = library_version();
    module.def("build_info", [] {
        const build_info_t build = build_info();
        pybind11::dict result;
        result["version"] = build.version;
        result["compiler"] = build.compiler;
        result["instruction_set"] = build.instruction_set;
        result["supported_instruction_sets"] = build.supported_instruction_sets;
        result["threads"] = build.threads;
        return result;
    });
}

}  // namespace zoorank::bindings
