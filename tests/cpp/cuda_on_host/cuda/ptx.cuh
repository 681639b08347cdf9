#pragma once
// Takes the place of csrc/src/cuda/ptx.cuh: each instruction by what the PTX ISA manual says of it.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "emulator.hpp"

namespace zoorank::cuda {

inline unsigned char* dynamic_shared() { return emulator::dynamic_shared(); }
inline std::uint32_t shared_address(const void* p) { return emulator::address_of(p); }
inline float approximate_root(float x) { return std::sqrt(x < 0x1p-126f ? 0 : x); }

inline void copy_16_bytes(void* shared, const void* global) { emulator::begin_copy(shared, global, 16); }
inline void commit_copies() { emulator::commit_copies(); }
template <int Pending>
void wait_for_copies() {
    emulator::finish_copies(Pending);
}

inline float bfloat_at(const unsigned char* two_bytes) {
    std::uint16_t half;
    std::memcpy(&half, two_bytes, sizeof half);
    const std::uint32_t bits = std::uint32_t(half) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline void load_matrices(unsigned (&registers)[4], std::uint32_t address) {
    const std::uint32_t* rows = emulator::gather(address);
    const unsigned lane = threadIdx.x % 32;
    for (unsigned matrix = 0; matrix < 4; ++matrix)
        std::memcpy(&registers[matrix], emulator::at_address(rows[8 * matrix + lane / 4]) + 4 * (lane % 4), 4);
}

// Of one lane: 8 elements of the left matrix, 4 of the right.
struct lane_fragments {
    lane_fragments(const unsigned (&left)[4], unsigned b0, unsigned b1) {
        const unsigned right[] = {b0, b1};
        for (unsigned i = 0; i < 8; ++i) a[i] = bfloat_at(reinterpret_cast<const unsigned char*>(left) + 2 * i);
        for (unsigned i = 0; i < 4; ++i) b[i] = bfloat_at(reinterpret_cast<const unsigned char*>(right) + 2 * i);
    }
    float a[8], b[4];
};

inline void multiply_fragments(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    const lane_fragments* lanes = emulator::gather(lane_fragments(a, b0, b1));
    const unsigned lane = threadIdx.x % 32, group = lane / 4, pair = lane % 4;
    float rows[2][16], cols[2][16];
    for (unsigned i = 0; i < 2; ++i)
        for (unsigned k = 0; k < 16; ++k) {
            rows[i][k] = lanes[group * 4 + k % 8 / 2].a[(i + k / 8 * 2) * 2 + k % 2];
            cols[i][k] = lanes[(2 * pair + i) * 4 + k % 8 / 2].b[k / 8 * 2 + k % 2];
        }
    for (unsigned k = 0; k < 16; ++k)
        for (unsigned i = 0; i < 4; ++i) sums[i] += rows[i / 2][k] * cols[i % 2][k];
}

}  // namespace zoorank::cuda
