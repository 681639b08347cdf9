#include <zoorank/estimate.hpp>

#include "arrays.hpp"
#include "interruptible.hpp"
#include "register.hpp"

namespace zoorank::bindings {
namespace {

using integer_array = py::array_t<std::int64_t, py::array::c_style>;

array_view<const std::int64_t> view_of(const integer_array& a) { return {a.data(), a.size()}; }

template <class T>
void register_for(py::module_& module, const char* statistics_name, const char* exact_name,
                  const char* references_name) {
    using statistics = row_statistics<T>;
    using drawn_rows = exact_rows<T>;
    using references = reference_rows<T>;
    py::class_<statistics>(module, statistics_name)
        .def(py::init([](const integer_array& labels, std::int64_t cols, const std::string& metric_name) {
                 return statistics(view_of(labels), cols, parse_metric(metric_name));
             }),
             py::arg("labels").noconvert(), py::arg("n_features"), py::arg("metric"))
        .def(
            "check",
            [](statistics& self, const py::array& block, std::int64_t first_row) {
                const auto view = borrow_matrix<T>(block, "X");
                const py::gil_scoped_release unlocked;
                self.check(view, first_row);
            },
            py::arg("block"), py::arg("first_row"))
        .def(
            "add_moments",
            [](statistics& self, const py::array& block, std::int64_t first_row, int threads,
               const py::object& progress) {
                const auto view = borrow_matrix<T>(block, "X");
                interruptible(threads, [&](const options& opt) { self.add_moments(view, first_row, opt); }, progress);
            },
            py::arg("block"), py::arg("first_row"), py::arg("threads"), py::arg("progress"))
        .def("class_points",
             [](const statistics& self) {
                 py::array_t<T> points({self.classes(), self.cols() + 1});
                 self.class_points({points.mutable_data(), points.size()});
                 return points;
             })
        .def(
            "radii",
            [](const statistics& self, const py::array& block, std::int64_t first_row, int threads,
               const py::object& progress) {
                const auto view = borrow_matrix<T>(block, "X");
                py::array_t<double> values(block.shape(0));
                const array_view<double> out(values.mutable_data(), values.size());
                interruptible(threads, [&](const options& opt) { self.radii(view, first_row, out, opt); }, progress);
                return values;
            },
            py::arg("block"), py::arg("first_row"), py::arg("threads"), py::arg("progress"))
        .def(
            "restrict_to",
            [](statistics& self, const integer_array& candidates) {
                if (candidates.ndim() != 2) throw py::value_error("candidates must have 2 dimensions");
                self.restrict_to({candidates.data(), candidates.data() + candidates.size()}, candidates.shape(1));
            },
            py::arg("candidates").noconvert())
        .def(
            "surrogate",
            [](const statistics& self, const py::array& block, std::int64_t first_row, int threads,
               const py::object& progress) {
                const auto view = borrow_matrix<T>(block, "X");
                py::array_t<double> samples(block.shape(0));
                const array_view<double> out(samples.mutable_data(), samples.size());
                interruptible(
                    threads, [&](const options& opt) { self.surrogate(view, first_row, out, opt); }, progress);
                return samples;
            },
            py::arg("block"), py::arg("first_row"), py::arg("threads"), py::arg("progress"));
    py::class_<drawn_rows>(module, exact_name)
        .def(py::init([](const statistics& all, const py::array& rows, const integer_array& indices) {
                 return drawn_rows(all, borrow_matrix<T>(rows, "rows"), view_of(indices));
             }),
             py::keep_alive<1, 2>(), py::arg("statistics"), py::arg("rows"), py::arg("indices").noconvert())
        .def(
            "add",
            [](drawn_rows& self, const py::array& block, std::int64_t first_row, int threads,
               const py::object& progress) {
                const auto view = borrow_matrix<T>(block, "X");
                interruptible(threads, [&](const options& opt) { self.add(view, first_row, opt); }, progress);
            },
            py::arg("block"), py::arg("first_row"), py::arg("threads"), py::arg("progress"))
        .def(
            "silhouettes",
            [](const drawn_rows& self, std::int64_t count) {
                py::array_t<double> samples(count);
                self.silhouettes({samples.mutable_data(), samples.size()});
                return samples;
            },
            py::arg("count"));
    py::class_<references>(module, references_name)
        .def(py::init([](const statistics& all, const py::array& rows, const integer_array& indices,
                         const integer_array& drawn, const integer_array& sizes) {
                 return references(all, borrow_matrix<T>(rows, "rows"), view_of(indices), view_of(drawn),
                                   view_of(sizes));
             }),
             py::keep_alive<1, 2>(), py::arg("statistics"), py::arg("rows"), py::arg("indices").noconvert(),
             py::arg("drawn").noconvert(), py::arg("sizes").noconvert())
        .def(
            "estimate",
            [](const references& self, const py::array& block, std::int64_t first_row, int threads,
               const py::object& progress) {
                const auto view = borrow_matrix<T>(block, "X");
                py::array_t<double> samples(block.shape(0)), errors(block.shape(0));
                const array_view<double> values(samples.mutable_data(), samples.size());
                const array_view<double> deviations(errors.mutable_data(), errors.size());
                interruptible(
                    threads, [&](const options& opt) { self.estimate(view, first_row, values, deviations, opt); },
                    progress);
                return py::make_tuple(samples, errors);
            },
            py::arg("block"), py::arg("first_row"), py::arg("threads"), py::arg("progress"));
}

}  // namespace

void register_estimate(py::module_& module) {
    register_for<float>(module, "RowStatistics32", "ExactRows32", "ReferenceRows32");
    register_for<double>(module, "RowStatistics64", "ExactRows64", "ReferenceRows64");
}

}  // namespace zoorank::bindings
