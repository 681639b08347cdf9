#include "cuda/choice.hpp"

#include <stdexcept>

namespace zoorank::cuda {

const char* name_of(kernel which) {
    switch (which) {
        case kernel::simt:
            return "simt";
        case kernel::mma:
            return "mma";
        case kernel::wgmma:
            return "wgmma";
    }
    return "unknown";
}

kernel choose_kernel(const std::string& wish, std::int64_t depth, int major, int minor, bool has_wgmma) {
    const bool runs_wgmma = has_wgmma && major == 9 && minor == 0;  // sm_90a runs on nothing else
    if (wish.empty() || wish == "auto") {
        if (depth < least_split_depth) return kernel::simt;
        return runs_wgmma ? kernel::wgmma : kernel::mma;
    }
    for (const kernel each : {kernel::simt, kernel::mma, kernel::wgmma}) {
        if (wish != name_of(each)) continue;
        if (each == kernel::wgmma && !runs_wgmma)
            throw std::invalid_argument(
                "ZOORANK_CUDA_KERNEL is 'wgmma', which needs a device of compute capability 9.0 "
                "and a build for 90a; this one has " +
                std::to_string(major) + "." + std::to_string(minor));
        return each;
    }
    throw std::invalid_argument("ZOORANK_CUDA_KERNEL is '" + wish + "'; it must be auto, simt, mma or wgmma");
}

}  // namespace zoorank::cuda
