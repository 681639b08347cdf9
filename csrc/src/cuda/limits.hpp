#pragma once
// What a device can do at best, measured by loops that do nothing else: the bounds that its kernels are held against.
#include "cuda/backend.hpp"

namespace zoorank::cuda {

struct device_limits {
    double
        bfloat16;  ///< flop/s of tensor cores, float32 accumulated, by the fastest instruction that a kernel here uses
    double float32, float64;  ///< flop/s of multiply-adds on ordinary cores
    double copy;              ///< bytes/s of a copy within the device's memory, those read and those written
};

/// Takes about a second and `copy_bytes` of memory twice.
device_limits measure_limits(place where, std::int64_t copy_bytes = std::int64_t(1) << 30);

}  // namespace zoorank::cuda
