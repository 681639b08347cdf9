// The module zoorank._cuda: the engine's functions on a CUDA device. Loaded when the first question about a device is
// asked, never by `import zoorank`.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "arrays.hpp"
#include "cuda/backend.hpp"
#include "cuda/device.hpp"
#include "cuda/dlpack.hpp"
#include "interruptible.hpp"

namespace zoorank::bindings {
namespace {

using label_array = py::array_t<std::int64_t, py::array::c_style>;

// A matrix on a device, of which nothing is known but its address. `keeper` owns the memory.
struct device_array {
    std::uintptr_t address;
    std::int64_t rows, cols, stride;
    bool is_double;
    py::object keeper;
};

template <class T>
cuda::input<T> input_of(const py::object& x, const char* name) {
    if (py::isinstance<device_array>(x)) {
        const auto& a = x.cast<const device_array&>();
        return {{reinterpret_cast<const T*>(a.address), a.rows, a.cols, a.stride}, true};
    }
    return {borrow_matrix<T>(x.cast<py::array>(), name), false};
}

bool is_double(const py::object& x, const char* name) {
    if (py::isinstance<device_array>(x)) return x.cast<const device_array&>().is_double;
    return for_float_type(x.cast<py::array>(), name, [](auto element) { return sizeof(element) == sizeof(double); });
}

cuda::place place_of(int device, std::uintptr_t stream) { return {device, reinterpret_cast<cudaStream_t>(stream)}; }

template <class T>
void samples_into(const py::object& x, const label_array& labels, py::array_t<double>& out, metric how,
                  cuda::place where) {
    const cuda::input<T> rows = input_of<T>(x, "X");
    const array_view<const std::int64_t> codes(labels.data(), labels.size());
    const array_view<double> result(out.mutable_data(), out.size());
    interruptible(1, [&](const options& opt) { cuda::silhouette_samples(rows, codes, result, how, where, opt); });
}

py::array_t<double> samples(const py::object& x, const label_array& labels, const std::string& metric_name, int device,
                            std::uintptr_t stream) {
    const metric how = parse_metric(metric_name);
    py::array_t<double> out(labels.size());
    if (is_double(x, "X"))
        samples_into<double>(x, labels, out, how, place_of(device, stream));
    else
        samples_into<float>(x, labels, out, how, place_of(device, stream));
    return out;
}

template <class T>
py::array distances_of(const py::object& x, const py::object& y, metric how, cuda::place where) {
    const cuda::input<T> left = input_of<T>(x, "X"), right = input_of<T>(y, "Y");
    py::array_t<T> out({left.view.rows, right.view.rows});
    const array_view<T> result(out.mutable_data(), out.size());
    interruptible(1, [&](const options& opt) { cuda::pairwise_distances(left, right, result, how, where, opt); });
    return out;
}

py::array distances(const py::object& x, const py::object& y, const std::string& metric_name, int device,
                    std::uintptr_t stream) {
    const metric how = parse_metric(metric_name);
    const bool both = is_double(x, "X");
    if (both != is_double(y, "Y")) throw py::type_error("X and Y must have one dtype");
    return both ? distances_of<double>(x, y, how, place_of(device, stream))
                : distances_of<float>(x, y, how, place_of(device, stream));
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
    py::class_<device_array>(module, "DeviceArray")
        .def_readonly("address", &device_array::address)
        .def_readonly("rows", &device_array::rows)
        .def_readonly("cols", &device_array::cols)
        .def_readonly("is_double", &device_array::is_double)
        .def(py::init([](std::uintptr_t address, std::int64_t rows, std::int64_t cols, std::int64_t stride,
                         bool of_doubles, py::object keeper) {
                 return device_array{address, rows, cols, stride, of_doubles, std::move(keeper)};
             }),
             py::arg("address"), py::arg("rows"), py::arg("cols"), py::arg("stride"), py::arg("is_double"),
             py::arg("keeper"));
    module.def(
        "from_dlpack",
        [](const py::capsule& capsule) {
            const dlpack_matrix m(capsule);
            return device_array{m.address(), m.rows(), m.cols(), m.stride(), m.is_double(), capsule};
        },
        py::arg("capsule"));
    module.def("device_of", &cuda::device_of, py::arg("address"));
    module.def("unavailable_reason", &cuda::unavailable_reason);
    module.def("devices", &list_devices);
    module.def("euclidean_kernel", &cuda::euclidean_kernel, py::arg("features"), py::arg("device"));
    module.def("silhouette_samples", &samples, py::arg("X"), py::arg("labels").noconvert(), py::arg("metric"),
               py::arg("device"), py::arg("stream"));
    module.def("pairwise_distances", &distances, py::arg("X"), py::arg("Y"), py::arg("metric"), py::arg("device"),
               py::arg("stream"));
}
