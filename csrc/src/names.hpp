#pragma once
// Enumerations by the names of their values.
#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace zoorank {

/// The value that `name` stands for, of names in the order of the enumeration; `what` the value is, for the error.
template <class Enum, std::size_t N>
Enum value_named(const std::array<const char*, N>& names, const std::string& name, const std::string& what) {
    std::string valid;
    for (std::size_t i = 0; i < N; ++i) {
        if (name == names[i]) return static_cast<Enum>(i);
        valid += (i ? ", " : "") + std::string(names[i]);
    }
    throw std::invalid_argument("unknown " + what + " '" + name + "'; valid " + what + "s are " + valid);
}

}  // namespace zoorank
