#pragma once
// bfloat16 as far as the kernels need it.
#include <cstdint>
#include <cstring>

struct __nv_bfloat16 {
    std::uint16_t bits;
};

/// Rounded to nearest, ties to even.
inline __nv_bfloat16 __float2bfloat16_rn(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return {static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

inline float __bfloat162float(__nv_bfloat16 half) {
    const std::uint32_t bits = std::uint32_t(half.bits) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
