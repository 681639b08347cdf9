#include "small_matrices.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace zoorank {

template <class T>
double dot(const T* x, const T* y, std::int64_t count) {
    constexpr std::int64_t lanes = 8;  // one sum would have to wait for each of its additions
    double sums[lanes] = {};
    std::int64_t k = 0;
    for (; k + lanes <= count; k += lanes)
        for (std::int64_t lane = 0; lane < lanes; ++lane)
            sums[lane] += static_cast<double>(x[k + lane]) * static_cast<double>(y[k + lane]);
    for (; k < count; ++k) sums[0] += static_cast<double>(x[k]) * static_cast<double>(y[k]);
    return std::accumulate(sums, sums + lanes, 0.0);
}

template <class T>
void orthonormalise(T* rows, std::int64_t count, std::int64_t depth) {
    constexpr double rounding = 64 * static_cast<double>(std::numeric_limits<T>::epsilon());
    for (std::int64_t k = 0; k < count; ++k) {
        T* const row = rows + k * depth;
        const double before = std::sqrt(dot(row, row, depth));
        if (before > 0)  // first of all: what is taken away from tiny values, and what they are divided by, may vanish
            for (std::int64_t i = 0; i < depth; ++i) row[i] = static_cast<T>(row[i] / before);
        double length = std::sqrt(dot(row, row, depth));
        for (int pass = 0; pass < 2 && length > 0; ++pass) {  // once more where much has been taken away
            for (std::int64_t l = 0; l < k; ++l) {
                const T* other = rows + l * depth;
                const T share = static_cast<T>(dot(row, other, depth));
                for (std::int64_t i = 0; i < depth; ++i) row[i] -= share * other[i];
            }
            const double left = std::sqrt(dot(row, row, depth));
            const bool enough = left > length / 4;
            length = left;
            if (enough) break;
        }
        const T shrink = length > rounding ? static_cast<T>(1 / length) : T(0);
        for (std::int64_t i = 0; i < depth; ++i) row[i] *= shrink;
    }
}

void diagonalise(std::vector<double> matrix, std::int64_t order, std::vector<double>& values,
                 std::vector<double>& vectors) {
    const auto n = static_cast<std::size_t>(order);
    std::vector<double> turned(n * n, 0.0);
    for (std::size_t i = 0; i < n; ++i) turned[i * n + i] = 1;
    double all = 0;
    for (const double value : matrix) all += value * value;
    constexpr int most_sweeps = 30;
    for (int sweep = 0; sweep < most_sweeps; ++sweep) {
        double beside = 0;
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = i + 1; j < n; ++j) beside += matrix[i * n + j] * matrix[i * n + j];
        if (!(beside > 1e-24 * all)) break;
        const double worthwhile = 1e-14 * std::sqrt(all) / static_cast<double>(n);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = i + 1; j < n; ++j) {
                const double off = matrix[i * n + j];
                if (std::abs(off) <= worthwhile) continue;
                const double angle = (matrix[j * n + j] - matrix[i * n + i]) / (2 * off);
                const double t = (angle < 0 ? -1 : 1) / (std::abs(angle) + std::sqrt(angle * angle + 1));
                const double c = 1 / std::sqrt(t * t + 1), s = t * c;
                const auto turn = [&](double* a, double* b) {
                    for (std::size_t k = 0; k < n; ++k) {
                        const double x = a[k], y = b[k];
                        a[k] = c * x - s * y;
                        b[k] = s * x + c * y;
                    }
                };
                turn(&matrix[i * n], &matrix[j * n]);
                for (std::size_t k = 0; k < n; ++k) {
                    const double x = matrix[k * n + i], y = matrix[k * n + j];
                    matrix[k * n + i] = c * x - s * y;
                    matrix[k * n + j] = s * x + c * y;
                }
                turn(&turned[i * n], &turned[j * n]);
            }
    }
    std::vector<std::size_t> by_value(n);
    std::iota(by_value.begin(), by_value.end(), std::size_t{0});
    std::sort(by_value.begin(), by_value.end(),
              [&](std::size_t a, std::size_t b) { return matrix[a * n + a] > matrix[b * n + b]; });
    values.resize(n);
    vectors.resize(n * n);
    for (std::size_t k = 0; k < n; ++k) {
        const std::size_t from = by_value[k];
        values[k] = matrix[from * n + from];
        std::copy_n(turned.data() + from * n, n, vectors.data() + k * n);
    }
}

template double dot(const float*, const float*, std::int64_t);
template double dot(const double*, const double*, std::int64_t);
template void orthonormalise(float*, std::int64_t, std::int64_t);
template void orthonormalise(double*, std::int64_t, std::int64_t);

}  // namespace zoorank
