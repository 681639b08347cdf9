// AMX (tiles of bf16) for products of floats, AVX-512 for all else.
#include "cpu/avx512_intrinsics.hpp"
#include "cpu/kernels.hpp"

#include <utility>

namespace zoorank::cpu {
namespace {

#include "cpu/simd_avx512.inl"

#include "cpu/kernel_set.inl"

#if defined(ZOORANK_EMULATE_AMX)
#include "cpu/tile_emulation.inl"
#else
// In assembly, since GCC's intrinsics want the number of a tile as a literal, and GCC 12's _tile_loadconfig() does not
// say that it reads memory.
struct tile_unit {
    // Eight tiles of 16 rows of 64 bytes.
    struct alignas(64) configuration {
        std::uint8_t palette = 1, first_row = 0, reserved[14] = {};
        std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static void begin() {
        const configuration eight_tiles;
        asm volatile("ldtilecfg %0" : : "m"(eight_tiles));
    }
    static void end() { asm volatile("tilerelease"); }

    template <int T>
    static void zero() {
        asm volatile("tilezero %%tmm%c0" : : "i"(T));
    }
    template <int T>
    static void load(const void* from, std::int64_t stride) {
        asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(T) : "memory");
    }
    template <int T>
    static void store(void* to, std::int64_t stride) {
        asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(T) : "memory");
    }
    template <int C, int A, int B>
    static void product() {
        asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
    }
};
#endif

#include "cpu/tiles.inl"

}  // namespace

extern const kernel_table kernels_amx{"amx", make_kernel_set<float>(), make_kernel_set<double>(), make_tile_set()};

}  // namespace zoorank::cpu
