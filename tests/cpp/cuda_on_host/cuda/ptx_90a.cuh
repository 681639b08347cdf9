#pragma once
// Takes the place of csrc/src/cuda/ptx_90a.cuh.
#include "cuda/ptx.cuh"

namespace zoorank::cuda {

inline void init_barrier(std::uint32_t barrier, int arrivals) { emulator::init_barrier(barrier, arrivals); }
inline void arrive_at_barrier(std::uint32_t barrier) { emulator::arrive(barrier, 0); }
inline void arrive_and_expect(std::uint32_t barrier, int bytes) { emulator::arrive(barrier, bytes); }
inline void wait_at_barrier(std::uint32_t barrier, unsigned parity) { emulator::wait_for_phase(barrier, parity); }
inline void copy_in_bulk(std::uint32_t shared, const void* global, int bytes, std::uint32_t barrier) {
    emulator::copy_in_bulk(shared, global, bytes, barrier);
}
inline void publish_barriers() {}
template <int Threads>
void sync_first_threads() {
    emulator::sync_first(Threads);
}

// The fields of a descriptor as the manual lays them out: address / 16 in bits 0 to 13, stride / 16 in bits 32 to 45,
// the mode of the swizzle in bits 62 and 63, 1 being 128 bytes.
inline std::uint64_t descriptor(std::uint32_t address) {
    return ((address & 0x3ffff) >> 4) | std::uint64_t(1) << 16 | std::uint64_t(1024 / 16) << 32 |
           std::uint64_t(1) << 62;
}

inline constexpr int wide_products = 16;
using wide_accumulators = float[wide_products][4];

inline void begin_products() {}
inline void commit_products() { emulator::commit_products(); }
template <int Pending>
void wait_for_products() {
    emulator::finish_products(Pending);
}
inline void hold(wide_accumulators&) {}

// 16 features of a row: rows are 128 bytes long, and bits 4 to 6 of an address are combined with bits 7 to 9, which
// moves 16 bytes together.
struct wide_row {
    wide_row(std::uint64_t descriptor, unsigned row) {
        const auto address = static_cast<std::uint32_t>((descriptor & 0x3fff) << 4) + row / 8 * 1024 + row % 8 * 128;
        for (unsigned half = 0; half < 2; ++half) {
            const std::uint32_t at = address + 16 * half;
            const unsigned char* bytes = emulator::at_address(at ^ ((at >> 7 & 7) << 4));
            for (unsigned k = 0; k < 8; ++k) values[8 * half + k] = bfloat_at(bytes + 2 * k);
        }
    }
    float values[16];
};

inline void multiply_wide(wide_accumulators& sums, std::uint64_t a, std::uint64_t b) {
    const unsigned warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
    emulator::begin_product([&sums, a, b, warp, lane] {
        const wide_row rows[] = {{a, 16 * warp + lane / 4}, {a, 16 * warp + lane / 4 + 8}};
        for (unsigned j = 0; j < wide_products; ++j) {
            const wide_row cols[] = {{b, 8 * j + 2 * (lane % 4)}, {b, 8 * j + 2 * (lane % 4) + 1}};
            for (unsigned k = 0; k < 16; ++k)
                for (unsigned i = 0; i < 4; ++i) sums[j][i] += rows[i / 2].values[k] * cols[i % 2].values[k];
        }
    });
}

}  // namespace zoorank::cuda
