#pragma once
// Distances that vanish. Rows are scaled so that squares of the largest value do not overflow. Beside a value such as
// 3e38, which infinity is often replaced by, the squares of all other differences are then smaller than any number of
// their type, and rows that differ seem to be equal. Such distances are computed apart, pair by pair.
#include <cstdint>
#include <vector>
#include <zoorank/metric.hpp>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

#include "partition.hpp"

namespace zoorank {

/// A distance between scaled rows that is less may have lost what it is made of.
template <class T>
inline constexpr double vanishing_distance = sizeof(T) == 4 ? 0x1p-50 : 0x1p-480;

/// The smallest |x| that is not 0; infinity where all are.
template <class T>
T least_magnitude(matrix_view<T> x);

/// Whether values that differ at all, `least` being the smallest but 0, still do when scaled and squared.
template <class T>
bool differences_last(T least, T scale);

/// The Euclidean distance of two rows of any size over 2^32, so that sums of many are numbers.
template <class T>
double distance_of_any_size(const T* x, const T* y, std::int64_t depth);
inline constexpr double distance_unit = 0x1p32;

/// Writes Euclidean silhouettes of the rows at some sorted positions, each compared with all: O(positions * n * d).
void silhouettes_of_positions(matrix_view<double> x, const partition& p, const std::vector<std::int64_t>& positions,
                              array_view<double> samples, int threads, const options& opt);

/// Computes those of the distances between rows of x and y, or of their squares, that vanished again from the rows as
/// they came; `scale` is what these were multiplied by.
template <class T>
void restore_vanished(matrix_view<T> x, matrix_view<T> y, array_view<T> out, metric how, T scale, int threads,
                      const options& opt);

/// Throws std::invalid_argument that says of which row the distances have vanished.
template <class T>
[[noreturn]] void refuse_vanished(std::int64_t row);

}  // namespace zoorank
