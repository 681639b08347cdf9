#pragma once
// Errors in one line. Text only, so that it is tested without a GPU.
#include <cstdint>
#include <string>

namespace zoorank::cuda {

/// Why a driver of version `driver` (12020 is 12.2; 0 is none) cannot serve a runtime of version `runtime`.
std::string driver_message(int driver, int runtime);

/// How much a call on `rows` rows needs, how much is free on the device called `name`, and how many rows would fit.
std::string memory_message(std::int64_t needed, std::int64_t free, std::int64_t rows, const std::string& name);

}  // namespace zoorank::cuda
