#pragma once
// A matrix out of a DLPack capsule, version 0 (https://dmlc.github.io/dlpack): what every producer still hands out when
// it is asked for no newer one. The capsule keeps the memory and is left unconsumed, so that its own destructor frees
// it.
#include <cstdint>
#include <stdexcept>
#include <string>

#include <pybind11/pybind11.h>

namespace zoorank::bindings {

class dlpack_matrix {
public:
    dlpack_matrix(const pybind11::capsule& capsule, const std::string& name) {
        const auto* tensor = static_cast<const managed_tensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
        if (!tensor) throw pybind11::error_already_set();
        tensor_ = &tensor->tensor;
        constexpr std::uint8_t floating = 2;
        if (tensor_->type.code != floating || tensor_->type.lanes != 1 ||
            (tensor_->type.bits != 32 && tensor_->type.bits != 64))
            throw pybind11::type_error(name + " comes by DLPack and must be float32 or float64");
        if (tensor_->dimensions != 2) throw pybind11::value_error(name + " must have 2 dimensions");
        if (tensor_->strides && cols() > 1 && tensor_->strides[1] != 1)
            throw pybind11::value_error(name + " must have adjacent features");
    }

    std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(tensor_->data) + tensor_->offset; }
    std::int64_t rows() const { return tensor_->shape[0]; }
    std::int64_t cols() const { return tensor_->shape[1]; }
    std::int64_t stride() const { return tensor_->strides ? tensor_->strides[0] : cols(); }
    bool is_double() const { return tensor_->type.bits == 64; }

private:
    struct device_type {
        std::int32_t kind, index;
    };
    struct element_type {
        std::uint8_t code, bits;
        std::uint16_t lanes;
    };
    struct dl_tensor {
        void* data;
        device_type device;
        std::int32_t dimensions;
        element_type type;
        std::int64_t* shape;
        std::int64_t* strides;
        std::uint64_t offset;
    };
    struct managed_tensor {
        dl_tensor tensor;
        void* manager;
        void (*deleter)(managed_tensor*);
    };

    const dl_tensor* tensor_;
};

}  // namespace zoorank::bindings
