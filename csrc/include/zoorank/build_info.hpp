#pragma once

#include <string>
#include <vector>

#include <zoorank/export.hpp>

namespace zoorank {

struct build_info_t {
    std::string version;
    std::string compiler;
    std::string instruction_set;                          ///< in use, chosen at the first call or by ZOORANK_ISA
    std::vector<std::string> supported_instruction_sets;  ///< of this binary on this processor, best first
    int threads;                                          ///< what options.threads = 0 means
};

/// Throws std::invalid_argument where ZOORANK_ISA or ZOORANK_NUM_THREADS makes no sense.
ZOORANK_API build_info_t build_info();

ZOORANK_API const char* library_version() noexcept;

}  // namespace zoorank
