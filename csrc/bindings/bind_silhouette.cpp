#include <zoorank/silhouette.hpp>

#include <vector>

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "interruptible.hpp"
#include "register.hpp"

namespace zoorank::bindings {
namespace {

using label_array = py::array_t<std::int64_t, py::array::c_style>;

array_view<const std::int64_t> labels_of(const label_array& labels) { return {labels.data(), labels.size()}; }

py::tuple samples(const py::array& x, const label_array& labels, const std::string& metric_name, int threads,
                  const py::object& progress, const std::string& precision, const std::string& pairs) {
    const metric how = parse_metric(metric_name);
    options wanted = options_of(threads, precision);
    wanted.pairs = parse_pair_selection(pairs);
    double evaluated = 0;
    wanted.pairs_evaluated = &evaluated;
    py::array_t<double> out(x.shape(0));
    for_float_type(x, "X", [&](auto element) {
        const auto view = borrow_matrix<decltype(element)>(x, "X");
        const array_view<double> result(out.mutable_data(), out.size());
        interruptible(
            wanted, [&](const options& opt) { silhouette_samples(view, labels_of(labels), result, how, opt); },
            progress);
    });
    return py::make_tuple(out, static_cast<std::int64_t>(evaluated));
}

// One after another, the metrics of each encoding together.
std::vector<py::array_t<double>> batch(const std::vector<py::array>& xs, const label_array& labels,
                                       const std::vector<std::string>& metric_names, int threads,
                                       const std::string& precision) {
    std::vector<metric> hows;
    for (const std::string& name : metric_names) hows.push_back(parse_metric(name));
    std::vector<py::array_t<double>> out;
    if (xs.empty()) return out;
    for_float_type(xs.front(), "X", [&](auto element) {
        std::vector<matrix_view<decltype(element)>> views;
        std::vector<array_view<double>> results;
        for (const py::array& x : xs) {
            if (!x.dtype().is(xs.front().dtype())) throw py::type_error("all encodings of a batch must have one dtype");
            views.push_back(borrow_matrix<decltype(element)>(x, "X"));
            for (std::size_t m = 0; m < hows.size(); ++m) {
                out.emplace_back(x.shape(0));
                results.emplace_back(out.back().mutable_data(), out.back().size());
            }
        }
        interruptible(options_of(threads, precision),
                      [&](const options& opt) { silhouette_batch(views, labels_of(labels), results, hows, opt); });
    });
    return out;
}

// The names of metrics of which something is so.
template <class Is>
py::tuple names_of_metrics(Is is) {
    py::list names;
    for (const metric_facts& facts : metrics)
        if (is(facts)) names.append(facts.name);
    return py::tuple(names);
}

}  // namespace

void register_silhouette(py::module_& module) {
    module.attr("METRICS") = names_of_metrics([](const metric_facts&) { return true; });
    module.attr("METRICS_OF_ROWS") =
        names_of_metrics([](const metric_facts& facts) { return facts.of != summand::none; });
    module.attr("METRICS_FROM_MEANS") = names_of_metrics([](const metric_facts& facts) { return facts.from_means(); });
    module.def("exact_silhouettes", &samples, py::arg("X"), py::arg("labels").noconvert(), py::arg("metric"),
               py::arg("threads"), py::arg("progress"), py::arg("precision") = "auto", py::arg("pairs") = "auto");
    module.def("silhouette_batch", &batch, py::arg("Xs"), py::arg("labels").noconvert(), py::arg("metrics"),
               py::arg("threads"), py::arg("precision") = "auto");
}

}  // namespace zoorank::bindings
