// The module zoorank._cuda: the engine's functions on a CUDA device. Loaded when the first question about a device is
// asked, never by `import zoorank`.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "cuda/device.hpp"
#include "cuda/device_array.hpp"
#include "interruptible.hpp"

namespace zoorank::bindings {
namespace {

using label_array = py::array_t<std::int64_t, py::array::c_style>;

array_view<const std::int64_t> view_of(const label_array& a) { return {a.data(), a.size()}; }

py::array_t<double> samples(const py::object& x, const label_array& labels, const std::string& metric_name, int device,
                            std::uintptr_t stream) {
    const metric how = parse_metric(metric_name);
    py::array_t<double> out(labels.size());
    for_element_type(x, "X", [&](auto element) {
        const auto rows = input_of<decltype(element)>(x, "X");
        const array_view<double> result(out.mutable_data(), out.size());
        interruptible(1, [&](const options& opt) {
            cuda::silhouette_samples(rows, view_of(labels), result, how, place_of(device, stream), opt);
        });
    });
    return out;
}

py::array_t<double> samples_of(const py::object& x, const label_array& labels, const label_array& indices,
                               const std::string& metric_name, int device, std::uintptr_t stream,
                               const py::object& progress) {
    const metric how = parse_metric(metric_name);
    py::array_t<double> out(indices.size());
    for_element_type(x, "X", [&](auto element) {
        const auto rows = input_of<decltype(element)>(x, "X");
        const array_view<double> result(out.mutable_data(), out.size());
        interruptible(
            1,
            [&](const options& opt) {
                cuda::silhouette_samples_of(rows, view_of(labels), view_of(indices), result, how,
                                            place_of(device, stream), opt);
            },
            progress);
    });
    return out;
}

py::array_t<double> surrogate(const py::object& x, const label_array& labels, int device, std::uintptr_t stream,
                              const py::object& progress) {
    py::array_t<double> out(labels.size());
    for_element_type(x, "X", [&](auto element) {
        const auto rows = input_of<decltype(element)>(x, "X");
        const array_view<double> result(out.mutable_data(), out.size());
        interruptible(
            1,
            [&](const options& opt) {
                cuda::surrogate_samples(rows, view_of(labels), result, place_of(device, stream), opt);
            },
            progress);
    });
    return out;
}

py::array_t<double> radii(const py::object& x, const label_array& labels, int device, std::uintptr_t stream) {
    py::array_t<double> out(labels.size());
    for_element_type(x, "X", [&](auto element) {
        const auto rows = input_of<decltype(element)>(x, "X");
        const array_view<double> result(out.mutable_data(), out.size());
        const py::gil_scoped_release unlocked;
        cuda::class_radii(rows, view_of(labels), result, place_of(device, stream));
    });
    return out;
}

py::tuple samples_by_references(const py::object& x, const label_array& labels, const label_array& indices,
                                const label_array& bounds, const label_array& drawn, const label_array& sizes,
                                int device, std::uintptr_t stream, const py::object& progress) {
    const cuda::reference_sets sets{view_of(indices), view_of(bounds), view_of(drawn), view_of(sizes)};
    py::array_t<double> out(labels.size()), errors(labels.size());
    for_element_type(x, "X", [&](auto element) {
        const auto rows = input_of<decltype(element)>(x, "X");
        const array_view<double> result(out.mutable_data(), out.size()),
            deviations(errors.mutable_data(), errors.size());
        interruptible(
            1,
            [&](const options& opt) {
                cuda::reference_samples(rows, view_of(labels), sets, result, deviations, place_of(device, stream), opt);
            },
            progress);
    });
    return py::make_tuple(out, errors);
}

py::array distances(const py::object& x, const py::object& y, const std::string& metric_name, int device,
                    std::uintptr_t stream) {
    const metric how = parse_metric(metric_name);
    if (is_double(x, "X") != is_double(y, "Y")) throw py::type_error("X and Y must have one dtype");
    return for_element_type(x, "X", [&](auto element) -> py::array {
        using T = decltype(element);
        const auto left = input_of<T>(x, "X"), right = input_of<T>(y, "Y");
        py::array_t<T> out({left.view.rows, right.view.rows});
        const array_view<T> result(out.mutable_data(), out.size());
        interruptible(1, [&](const options& opt) {
            cuda::pairwise_distances(left, right, result, how, place_of(device, stream), opt);
        });
        return out;
    });
}

py::list list_devices() {
    py::list list;
    for (const cuda::device_info& device : cuda::devices()) {
        py::dict entry;
        entry["index"] = device.index;
        entry["name"] = device.name;
        entry["compute_capability"] = py::make_tuple(device.major, device.minor);
        entry["multiprocessors"] = device.multiprocessors;
        entry["memory"] = device.memory;
        list.append(entry);
    }
    return list;
}

}  // namespace
}  // namespace zoorank::bindings

PYBIND11_MODULE(_cuda, module) {
    using namespace zoorank::bindings;
    namespace cuda = zoorank::cuda;
    py::register_exception_translator([](std::exception_ptr error) {
        try {
            if (error) std::rethrow_exception(error);
        } catch (const cuda::out_of_memory& e) {
            py::set_error(PyExc_MemoryError, e.what());
        }
    });
    register_memory(module);
    module.def("unavailable_reason", &cuda::unavailable_reason);
    module.def("devices", &list_devices);
    module.def("euclidean_kernel", &cuda::euclidean_kernel, py::arg("features"), py::arg("device"));
    module.def("silhouette_samples", &samples, py::arg("X"), py::arg("labels").noconvert(), py::arg("metric"),
               py::arg("device"), py::arg("stream"));
    module.def("silhouette_samples_of", &samples_of, py::arg("X"), py::arg("labels").noconvert(),
               py::arg("indices").noconvert(), py::arg("metric"), py::arg("device"), py::arg("stream"),
               py::arg("progress"));
    module.def("surrogate_samples", &surrogate, py::arg("X"), py::arg("labels").noconvert(), py::arg("device"),
               py::arg("stream"), py::arg("progress"));
    module.def("class_radii", &radii, py::arg("X"), py::arg("labels").noconvert(), py::arg("device"),
               py::arg("stream"));
    module.def("reference_samples", &samples_by_references, py::arg("X"), py::arg("labels").noconvert(),
               py::arg("indices").noconvert(), py::arg("bounds").noconvert(), py::arg("drawn").noconvert(),
               py::arg("sizes").noconvert(), py::arg("device"), py::arg("stream"), py::arg("progress"));
    module.def("pairwise_distances", &distances, py::arg("X"), py::arg("Y"), py::arg("metric"), py::arg("device"),
               py::arg("stream"));
}
