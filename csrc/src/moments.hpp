#pragma once
// First and second moments of the classes. With z_i the rows (unit rows for cosine), m_c the mean of class c and v_c
// its mean squared distance to m_c,
//
//     mean over j in c of |z_i - z_j|^2  =  |z_i - m_c|^2 + v_c,
//
// so that mean squared distances to classes need K points instead of n rows. The cosine distance 1 - z_i.z_j is half of
// |z_i - z_j|^2, except that a row of zeros has no direction: scikit-learn puts it at distance 1 from everything. With
// e = 1 for such a row and 0 for others (z = 0 stays 0),
//
//     2 (1 - z_i.z_j)  =  |z_i - z_j|^2 + e_i + e_j.
//
// All of it is computed in double, also for float input: a difference of means does not average rounding errors away
// as a mean of n distances does, and K columns cost little.
#include <cstdint>
#include <vector>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

#include "partition.hpp"

namespace zoorank {

/// How a row becomes z: scaled and centred, or as a unit vector.
template <class T>
struct row_frame {
    T scale = 1;
    std::vector<T> centre;    ///< taken off the scaled rows; empty for directions, which have an origin of their own
    bool directions = false;  ///< cosine

    /// Writes z of the row at a sorted position; returns the row's e.
    double load(matrix_view<T> x, const partition& p, std::int64_t position, double* z) const;
};

class class_moments {
public:
    class_moments(std::int64_t classes, std::int64_t cols);

    /// Takes in a block of rows. Sums are taken around a first row and then merged (Chan, Golub and LeVeque, 1979),
    /// which keeps the moments of a tight class far from the origin exact to the last digits.
    template <class T>
    void add(matrix_view<T> x, const partition& p, const row_frame<T>& frame, int threads, const options& opt);

    std::int64_t classes() const noexcept { return static_cast<std::int64_t>(sizes_.size()); }
    std::int64_t cols() const noexcept { return cols_; }
    std::int64_t size(std::int64_t c) const noexcept { return sizes_[static_cast<std::size_t>(c)]; }
    const double* mean(std::int64_t c) const noexcept { return means_.data() + c * cols_; }

    /// The sum over class c of |z - m_c|^2 + e. Divided by the size, it is what every mean squared distance to c holds.
    double spread(std::int64_t c) const noexcept { return spreads_[static_cast<std::size_t>(c)]; }

private:
    struct part;
    void merge(const part& other);

    std::int64_t cols_;
    std::vector<std::int64_t> sizes_;
    std::vector<double> means_;  // classes x features
    std::vector<double> spreads_;
};

}  // namespace zoorank
