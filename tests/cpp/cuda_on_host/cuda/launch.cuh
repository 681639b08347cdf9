#pragma once
// Takes the place of csrc/src/cuda/launch.cuh.
#include "cuda/device.hpp"
#include "emulator.hpp"
#include "machine.hpp"

namespace zoorank::cuda {

struct shape_of_launch {
    std::int64_t blocks;
    int threads;
    int shared_bytes = 0;
};

template <class... Parameters, class... Arguments>
void launch(const char* what, void (*kernel)(Parameters...), const shape_of_launch& shape, cudaStream_t stream,
            const Arguments&... arguments) {
    if (shape.blocks < 1 || shape.blocks > 0x7fffffff) check(cudaErrorInvalidConfiguration, what);
    check(emulator::enqueue(
              stream,
              [=] { emulator::run(shape.blocks, shape.threads, shape.shared_bytes, [&] { kernel(arguments...); }); }),
          what);
}

}  // namespace zoorank::cuda
