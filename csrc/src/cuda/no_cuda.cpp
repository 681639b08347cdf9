#include "cuda/backend.hpp"

namespace zoorank::cuda {

bool built() noexcept { return false; }

std::string unavailable_reason() { return "this build of zoorank has no CUDA kernels"; }

}  // namespace zoorank::cuda
