#pragma once
#include <string>
#include <vector>

#include "cpu/kernels.hpp"

namespace zoorank::cpu {

/// The kernels in use: the best that this binary holds and this processor runs, or the set that ZOORANK_ISA names.
/// Chosen once; std::invalid_argument names the valid values when ZOORANK_ISA is none of them.
const kernel_table& active_kernels();

/// The tables that could be active here, best first.
std::vector<const kernel_table*> supported_kernels();

/// Their names.
std::vector<std::string> supported_instruction_sets();

template <class T>
const kernel_set<T>& active_set();
template <>
inline const kernel_set<float>& active_set<float>() {
    return active_kernels().f32;
}
template <>
inline const kernel_set<double>& active_set<double>() {
    return active_kernels().f64;
}

}  // namespace zoorank::cpu
