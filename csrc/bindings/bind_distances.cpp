#include <zoorank/distances.hpp>

#include "arrays.hpp"
#include "interruptible.hpp"
#include "register.hpp"

namespace zoorank::bindings {
namespace {

py::array distances(const py::array& x, const py::array& y, const std::string& metric_name, int threads,
                    const std::string& precision) {
    const metric how = parse_metric(metric_name);
    if (!x.dtype().is(y.dtype())) throw py::type_error("X and Y must have one dtype");
    return for_float_type(x, "X", [&](auto element) -> py::array {
        using T = decltype(element);
        const auto left = borrow_matrix<T>(x, "X"), right = borrow_matrix<T>(y, "Y");
        py::array_t<T> out({left.rows, right.rows});
        const array_view<T> result(out.mutable_data(), out.size());
        interruptible(options_of(threads, precision),
                      [&](const options& opt) { pairwise_distances(left, right, result, how, opt); });
        return out;
    });
}

}  // namespace

void register_distances(py::module_& module) {
    module.def("pairwise_distances", &distances, py::arg("X"), py::arg("Y"), py::arg("metric"), py::arg("threads"),
               py::arg("precision") = "auto");
}

}  // namespace zoorank::bindings
