#pragma once

#include <string>

// The seam between the host library and the GPU. A build with kernels compiles
// .cu files that define these; a build without them compiles no_cuda.cpp.
namespace zoorank::cuda {

bool built() noexcept;

// Why no device can be used, in one line; empty when one can.
std::string unavailable_reason();

}  // namespace zoorank::cuda
