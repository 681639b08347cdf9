#pragma once
// Linear algebra on a few vectors: what the directions of a class are found with.
#include <cstdint>
#include <vector>

namespace zoorank {

/// x . y, summed up in double.
template <class T>
double dot(const T* x, const T* y, std::int64_t count);

/// Makes rows [count x depth] orthonormal, first ones first. A row that the ones before it span to within rounding
/// becomes zeros.
template <class T>
void orthonormalise(T* rows, std::int64_t count, std::int64_t depth);

/// Diagonalises a symmetric matrix by rotations (Jacobi, 1846). `values` are those of the diagonal, descending, and
/// rows of `vectors` belong to them; what is left beside the diagonal is of the size of rounding.
void diagonalise(std::vector<double> matrix, std::int64_t order, std::vector<double>& values,
                 std::vector<double>& vectors);

}  // namespace zoorank
