#pragma once
// Labelled rows, and their silhouettes by the definition, pair by pair in double.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include <zoorank/metric.hpp>
#include <zoorank/views.hpp>

namespace check {

using zoorank::matrix_view;
using zoorank::metric;

// Rows around one centre a class, on a stride wider than the row: what lies between is NaN and must not be read.
template <class T>
struct problem {
    std::int64_t rows, cols, stride;
    std::vector<T> values;
    std::vector<std::int64_t> labels;

    problem(std::int64_t n, std::int64_t d, std::int64_t classes, unsigned seed, double offset = 0)
        : rows(n),
          cols(d),
          stride(d + 3),
          values(static_cast<std::size_t>(n * stride), std::numeric_limits<T>::quiet_NaN()),
          labels(static_cast<std::size_t>(n)) {
        std::mt19937 generator(seed);
        const auto uniform = [&] { return static_cast<double>(generator()) / 4294967296.0 - 0.5; };
        std::vector<double> centres(static_cast<std::size_t>(classes * d));
        for (double& value : centres) value = uniform();
        for (std::int64_t i = 0; i < n; ++i) {
            const std::int64_t c = i < classes ? i : static_cast<std::int64_t>(generator() % classes);
            labels[static_cast<std::size_t>(i)] = 10 * c - 7;
            for (std::int64_t f = 0; f < d; ++f)
                values[static_cast<std::size_t>(i * stride + f)] =
                    static_cast<T>(centres[static_cast<std::size_t>(c * d + f)] + 0.7 * uniform() + offset);
        }
    }

    matrix_view<T> view() const { return {values.data(), rows, cols, stride}; }
};

template <class T>
double distance(const T* x, const T* y, std::int64_t d, metric how) {
    double sum = 0, xx = 0, yy = 0, xy = 0;
    for (std::int64_t f = 0; f < d; ++f) {
        const double a = x[f], b = y[f];
        sum += how == metric::manhattan ? std::abs(a - b) : (a - b) * (a - b);
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    if (how == metric::cosine) return 1 - xy / std::sqrt(xx * yy);
    return how == metric::euclidean ? std::sqrt(sum) : sum;
}

template <class T>
std::vector<double> by_definition(const problem<T>& p, metric how) {
    std::map<std::int64_t, double> sizes;
    for (const std::int64_t label : p.labels) sizes[label] += 1;
    std::vector<double> samples;
    for (std::int64_t i = 0; i < p.rows; ++i) {
        const std::int64_t own = p.labels[static_cast<std::size_t>(i)];
        std::map<std::int64_t, double> sums;
        for (std::int64_t j = 0; j < p.rows; ++j)
            if (j != i)
                sums[p.labels[static_cast<std::size_t>(j)]] += distance(p.view().row(i), p.view().row(j), p.cols, how);
        double b = std::numeric_limits<double>::infinity();
        for (const auto& [label, sum] : sums)
            if (label != own) b = std::min(b, sum / sizes[label]);
        const double a = sizes[own] > 1 ? sums[own] / (sizes[own] - 1) : 0;
        samples.push_back(sizes[own] > 1 && std::max(a, b) > 0 ? (b - a) / std::max(a, b) : 0);
    }
    return samples;
}

}  // namespace check
