#include <zoorank/limits.hpp>

#include <pybind11/stl.h>

#include "register.hpp"

namespace zoorank::bindings {

void register_limits(pybind11::module_& module) {
    namespace py = pybind11;
    module.def(
        "arithmetic_rates",
        [](int threads) {
            std::vector<arithmetic_rate> rates;
            {
                const py::gil_scoped_release unlocked;
                rates = arithmetic_rates(threads);
            }
            py::dict result;
            for (const arithmetic_rate& rate : rates)
                result[py::str(rate.instruction_set)] = py::make_tuple(rate.f32, rate.f64, rate.bf16x3);
            return result;
        },
        py::arg("threads"));
    module.def("read_rate", &read_rate, py::arg("threads"), py::arg("n_bytes"),
               py::call_guard<py::gil_scoped_release>());
}

}  // namespace zoorank::bindings
