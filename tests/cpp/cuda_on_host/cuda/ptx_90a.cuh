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

// Feature k of a row: rows are 128 bytes long, and bits 4 to 6 of an address are combined with bits 7 to 9.
inline float wide_element(std::uint64_t descriptor, unsigned row, unsigned k) {
    const auto address =
        static_cast<std::uint32_t>((descriptor & 0x3fff) << 4) + row / 8 * 1024 + row % 8 * 128 + 2 * k;
    return bfloat_at(emulator::at_address(address ^ ((address >> 7 & 7) << 4)));
}

inline void multiply_wide(wide_accumulators& sums, std::uint64_t a, std::uint64_t b) {
    const unsigned warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
    emulator::begin_product([&sums, a, b, warp, lane] {
        for (unsigned j = 0; j < wide_products; ++j)
            for (unsigned i = 0; i < 4; ++i) {
                const unsigned row = 16 * warp + lane / 4 + i / 2 * 8, col = 8 * j + 2 * (lane % 4) + i % 2;
                for (unsigned k = 0; k < 16; ++k) sums[j][i] += wide_element(a, row, k) * wide_element(b, col, k);
            }
    });
}

}  // namespace zoorank::cuda
