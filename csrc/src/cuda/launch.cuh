#pragma once
// The one place where kernels are launched.
#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/device.hpp"

namespace zoorank::cuda {

/// How many blocks of how many threads, and how much shared memory each block asks for.
struct shape_of_launch {
    std::int64_t blocks;
    int threads;
    int shared_bytes = 0;
};

/// Launches `kernel`; `what` names it in an error.
template <class... Parameters, class... Arguments>
void launch(const char* what, void (*kernel)(Parameters...), const shape_of_launch& shape, cudaStream_t stream,
            const Arguments&... arguments) {
    constexpr int without_asking = 48 * 1024;
    if (shape.shared_bytes > without_asking) {
        check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shape.shared_bytes), what);
        // Room for two blocks: the driver need not choose more than one takes.
        check(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                   cudaSharedmemCarveoutMaxShared),
              what);
    }
    kernel<<<static_cast<unsigned>(shape.blocks), static_cast<unsigned>(shape.threads),
             static_cast<std::size_t>(shape.shared_bytes), stream>>>(arguments...);
    check_launch(what);
}

}  // namespace zoorank::cuda
