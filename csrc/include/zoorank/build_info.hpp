#pragma once

#include <string>

#include <zoorank/export.hpp>

namespace zoorank {

struct build_info_t {
    std::string version;
    std::string compiler;
    bool cuda_built;
    std::string cuda_unavailable_reason;  // empty when a CUDA device can be used
};

ZOORANK_API build_info_t build_info();

}  // namespace zoorank
