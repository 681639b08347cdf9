#pragma once
// What this machine can do at best, measured when asked: the bounds that a kernel's speed is held against.
#include <cstdint>
#include <string>
#include <vector>

#include <zoorank/export.hpp>

namespace zoorank {

struct arithmetic_rate {
    std::string instruction_set;
    double f32, f64;  ///< flop/s of independent multiply-adds, two flops each
    double bf16x3;    ///< of floats on the matrix unit, three products of bf16 for one; 0 without such a unit
};

/// The rate of every instruction set that could be in use here, best set first; the fastest of several short runs.
ZOORANK_API std::vector<arithmetic_rate> arithmetic_rates(int threads = 1);

/// Bytes read from memory in a second, the fastest of several sweeps over a buffer of that size.
/// To measure memory, and not a cache, the size must be several times that of the last cache.
ZOORANK_API double read_rate(int threads = 1, std::int64_t bytes = std::int64_t{1} << 28);

}  // namespace zoorank
