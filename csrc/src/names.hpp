#pragma once
// Enumerations by the names of their values.
#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace zoorank {

/// The value that `name` stands for, of entries in the order of the enumeration that have names; `what` the value is,
/// for the error.
template <class Enum, class Entry, std::size_t N, class NameOf>
Enum value_named(const std::array<Entry, N>& entries, NameOf name_of, const std::string& name,
                 const std::string& what) {
    std::string valid;
    for (std::size_t i = 0; i < N; ++i) {
        if (name == name_of(entries[i])) return static_cast<Enum>(i);
        valid += (i ? ", " : "") + std::string(name_of(entries[i]));
    }
    throw std::invalid_argument("unknown " + what + " '" + name + "'; valid " + what + "s are " + valid);
}

}  // namespace zoorank
