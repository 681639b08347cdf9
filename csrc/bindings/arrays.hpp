#pragma once
// Borrowing NumPy arrays as views. Nothing is copied or converted here: python/zoorank/engine/arrays.py does that,
// knowingly, before it calls.
#include <cstdint>
#include <string>

#include <pybind11/numpy.h>
#include <zoorank/views.hpp>

namespace zoorank::bindings {

namespace py = pybind11;

template <class T>
matrix_view<T> borrow_matrix(const py::array& a, const char* name) {
    const py::ssize_t itemsize = static_cast<py::ssize_t>(sizeof(T));
    if (!py::isinstance<py::array_t<T>>(a))
        throw py::type_error(std::string(name) + " must be " + (sizeof(T) == 4 ? "float32" : "float64"));
    if (a.ndim() != 2) throw py::value_error(std::string(name) + " must have 2 dimensions");
    const bool rows_apart = a.shape(0) < 2 || a.strides(0) % itemsize == 0;
    if ((a.shape(1) > 1 && a.strides(1) != itemsize) || !rows_apart)
        throw py::value_error(std::string(name) + " must have adjacent features");
    return {static_cast<const T*>(a.data()), a.shape(0), a.shape(1), a.strides(0) / itemsize};
}

/// Calls run(T{}) with T the type of the array's elements, float or double.
template <class Run>
auto for_float_type(const py::array& a, const char* name, Run run) {
    if (py::isinstance<py::array_t<float>>(a)) return run(float{});
    if (py::isinstance<py::array_t<double>>(a)) return run(double{});
    throw py::type_error(std::string(name) + " must be float32 or float64");
}

}  // namespace zoorank::bindings
