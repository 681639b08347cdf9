// Stands in for pairs_wgmma.cu and limits_wgmma.cu in a build without sm_90a.
#include <stdexcept>

#include "cuda/kernels.hpp"
#include "cuda/limits.cuh"

namespace zoorank::cuda {

void sum_euclidean_wgmma(const sums_args<float>&, cudaStream_t) {
    throw std::logic_error("this build has no kernel for sm_90a");
}

double run_products_wgmma(int, int, float*, cudaStream_t) {
    throw std::logic_error("this build has no kernel for sm_90a");
}

bool wgmma_built() { return false; }

}  // namespace zoorank::cuda
