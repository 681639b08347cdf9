#include <pybind11/pybind11.h>

#include <zoorank/build_info.hpp>

namespace py = pybind11;

PYBIND11_MODULE(_core, module) {
    const zoorank::build_info_t info = zoorank::build_info();
    module.attr("__version__") = info.version;
    module.def("build_info", [] {
        const zoorank::build_info_t build = zoorank::build_info();
        py::dict result;
        result["version"] = build.version;
        result["compiler"] = build.compiler;
        result["cuda_built"] = build.cuda_built;
        result["cuda_unavailable_reason"] = build.cuda_unavailable_reason;
        return result;
    });
}
