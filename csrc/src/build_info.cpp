#include <zoorank/build_info.hpp>

#include "cpu/kernel_table.hpp"
#include "thread_pool.hpp"

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
    return {library_version(), compiler, cpu::active_kernels().name, cpu::supported_instruction_sets(),
            resolve_threads(0)};
}

const char* library_version() noexcept { return ZOORANK_VERSION; }

}  // namespace zoorank
