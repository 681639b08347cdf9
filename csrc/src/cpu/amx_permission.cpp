#include "cpu/amx_permission.hpp"

#if defined(ZOORANK_EMULATE_AMX)
namespace zoorank::cpu {

bool amx_permitted() noexcept { return true; }

}  // namespace zoorank::cpu
#elif defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace zoorank::cpu {
namespace {

bool processor_has_tiles() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned bf16 = 1U << 22, tiles = 1U << 24;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & bf16) != 0 && (d & tiles) != 0;
}

// The two parts of the state of tiles in XCR0, which may be read where OSXSAVE is set.
bool system_saves_tiles() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & (1U << 27)) == 0) return false;
    asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    constexpr unsigned both = 3U << 17;
    return (a & both) == both;
}

}  // namespace

// Granted to the process for good: threads that are there and that come may use tiles. Linux before 5.16 refuses, and
// so does any whose signal stacks are too small for eight kilobytes more.
bool amx_permitted() noexcept {
    constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return processor_has_tiles() && system_saves_tiles() && syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

}  // namespace zoorank::cpu
#else
namespace zoorank::cpu {

bool amx_permitted() noexcept { return false; }

}  // namespace zoorank::cpu
#endif
