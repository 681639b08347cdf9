#pragma once
// Matrices as the functions of the module take them: NumPy arrays, or rows that lie on a device.
#include <pybind11/pybind11.h>

#include "arrays.hpp"
#include "cuda/backend.hpp"

namespace zoorank::bindings {

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

/// Calls run(T{}) with T the type of the matrix's elements, float or double.
template <class Run>
auto for_element_type(const py::object& x, const char* name, Run run) {
    if (!py::isinstance<device_array>(x)) return for_float_type(x.cast<py::array>(), name, run);
    return x.cast<const device_array&>().is_double ? run(double{}) : run(float{});
}

inline bool is_double(const py::object& x, const char* name) {
    return for_element_type(x, name, [](auto element) { return sizeof(element) == sizeof(double); });
}

inline cuda::place place_of(int device, std::uintptr_t stream) {
    return {device, reinterpret_cast<cudaStream_t>(stream)};
}

/// The class DeviceArray, and what makes one.
void register_memory(py::module_& module);

}  // namespace zoorank::bindings
