// Rows on a device: borrowed from another library, or copied there.
#include <memory>

#include <pybind11/pybind11.h>

#include "cuda/device.hpp"
#include "cuda/device_array.hpp"
#include "cuda/dlpack.hpp"
#include "cuda/limits.hpp"
#include "cuda/sorted_rows.hpp"

namespace zoorank::bindings {
namespace {

// Memory of a device that Python keeps alive.
template <class T>
struct owned_rows {
    owned_rows(matrix_view<T> view, int index) : device(index) {
        const cuda::current_device guard(device);
        rows = std::make_unique<cuda::device_rows<T>>(cuda::input<T>{view, false}, nullptr);
        cuda::check(cudaStreamSynchronize(nullptr), "copying rows to the device");
    }
    ~owned_rows() {
        try {
            const cuda::current_device guard(device);
            rows.reset();
        } catch (const std::runtime_error&) {  // the driver may be gone when the interpreter ends
            return;
        }
    }
    owned_rows(const owned_rows&) = delete;
    owned_rows& operator=(const owned_rows&) = delete;

    int device;
    std::unique_ptr<cuda::device_rows<T>> rows;
};

template <class T>
device_array upload_as(const py::array& x, int device) {
    const matrix_view<T> view = borrow_matrix<T>(x, "X");
    std::unique_ptr<owned_rows<T>> owned;
    {
        const py::gil_scoped_release unlocked;
        const cuda::current_device guard(device);
        cuda::reserve(cuda::upload_bytes(cuda::input<T>{view, false}), view.rows);
        owned = std::make_unique<owned_rows<T>>(view, device);
    }
    const matrix_view<T> there = owned->rows->view();
    const py::capsule keeper(owned.release(), [](void* memory) { delete static_cast<owned_rows<T>*>(memory); });
    return {reinterpret_cast<std::uintptr_t>(there.data),
            there.rows,
            there.cols,
            there.stride,
            sizeof(T) == sizeof(double),
            keeper};
}

device_array upload(const py::array& x, int device) {
    return for_float_type(x, "X", [&](auto element) { return upload_as<decltype(element)>(x, device); });
}

py::dict limits(int device, double effort) {
    cuda::device_limits found;
    {
        const py::gil_scoped_release unlocked;
        found = cuda::measure_limits({device, nullptr}, cuda::limits_effort().times(effort));
    }
    py::dict result;
    result["bfloat16"] = found.bfloat16;
    result["float32"] = found.float32;
    result["float64"] = found.float64;
    result["copy"] = found.copy;
    return result;
}

}  // namespace

void register_memory(py::module_& module) {
    py::class_<device_array>(module, "DeviceArray")
        .def_readonly("address", &device_array::address)
        .def_readonly("rows", &device_array::rows)
        .def_readonly("cols", &device_array::cols)
        .def_readonly("stride", &device_array::stride)
        .def_readonly("is_double", &device_array::is_double)
        .def(py::init([](std::uintptr_t address, std::int64_t rows, std::int64_t cols, std::int64_t stride,
                         bool of_doubles, py::object keeper) {
                 return device_array{address, rows, cols, stride, of_doubles, std::move(keeper)};
             }),
             py::arg("address"), py::arg("rows"), py::arg("cols"), py::arg("stride"), py::arg("is_double"),
             py::arg("keeper"));
    module.def(
        "from_dlpack",
        [](const py::capsule& capsule, const std::string& name) {
            const dlpack_matrix m(capsule, name);
            return device_array{m.address(), m.rows(), m.cols(), m.stride(), m.is_double(), capsule};
        },
        py::arg("capsule"), py::arg("name"));
    module.def("device_of", &cuda::device_of, py::arg("address"));
    module.def(
        "wait_for",
        [](int device, std::uintptr_t stream) { cuda::wait_for(device, reinterpret_cast<cudaStream_t>(stream)); },
        py::arg("device"), py::arg("stream"), py::call_guard<py::gil_scoped_release>());
    module.def("upload", &upload, py::arg("X"), py::arg("device"));
    module.def("measure_limits", &limits, py::arg("device"), py::arg("effort"));
}

}  // namespace zoorank::bindings
