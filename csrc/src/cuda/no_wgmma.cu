// Stands in for pairs_wgmma.cu in a build without sm_90a.
#include <stdexcept>

#include "cuda/kernels.hpp"

namespace zoorank::cuda {

void sum_euclidean_wgmma(const sums_args<float>&, cudaStream_t) {
    throw std::logic_error("this build has no kernel for sm_90a");
}

bool wgmma_built() { return false; }

}  // namespace zoorank::cuda
