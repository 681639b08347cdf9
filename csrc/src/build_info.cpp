#include <zoorank/build_info.hpp>

#include "cuda/backend.hpp"

namespace zoorank {
namespace {

constexpr const char* compiler =
#if defined(__clang__)
    "clang " __clang_version__;
#elif defined(__GNUC__)
    "gcc " __VERSION__;
#else
    "unknown";
#endif

}  // namespace

build_info_t build_info() {
    return {ZOORANK_VERSION, compiler, cuda::built(), cuda::unavailable_reason()};
}

}  // namespace zoorank
