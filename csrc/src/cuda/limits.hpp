#pragma once
// What a device can do at best, measured by loops that do nothing else: the bounds that its kernels are held against.
#include <algorithm>

#include "cuda/backend.hpp"

namespace zoorank::cuda {

struct device_limits {
    double
        bfloat16;  ///< flop/s of tensor cores, float32 accumulated, by the fastest instruction that a kernel here uses
    double float32, float64;  ///< flop/s of multiply-adds on ordinary cores
    double copy;              ///< bytes/s of a copy within the device's memory, those read and those written
};

/// How long to look. By default each loop takes some milliseconds on a large card, and all of them about a second.
struct limits_effort {
    int products = 10000, multiply_adds = 20000;      ///< rounds of a loop
    std::int64_t copy_bytes = std::int64_t(1) << 30;  ///< taken twice
    int warm_up_milliseconds = 100;                   ///< for the clocks to rise

    /// So many times as much of everything.
    limits_effort times(double factor) const {
        const auto of = [factor](auto count) {
            return static_cast<decltype(count)>(static_cast<double>(count) * factor);
        };
        return {std::max(1, of(products)), std::max(1, of(multiply_adds)),
                std::max<std::int64_t>(1 << 10, of(copy_bytes)), of(warm_up_milliseconds)};
    }
};

device_limits measure_limits(place where, const limits_effort& effort = {});

}  // namespace zoorank::cuda
