#include "vanishing.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "cpu/kernel_table.hpp"
#include "methods.hpp"
#include "thread_pool.hpp"

namespace zoorank {

template <class T>
T least_magnitude(matrix_view<T> x) {
    T least = std::numeric_limits<T>::infinity();
    for (std::int64_t i = 0; i < x.rows; ++i) {
        const T* row = x.row(i);
        for (std::int64_t k = 0; k < x.cols; ++k) {
            const T magnitude = std::abs(row[k]);
            least = magnitude > 0 && magnitude < least ? magnitude : least;
        }
    }
    return least;
}

template <class T>
bool differences_last(T least, T scale) {
    constexpr double digits = std::numeric_limits<T>::epsilon();  // neighbouring numbers differ by half of it or more
    constexpr double needed = vanishing_distance<T> * 0x1p-6;     // of a feature, where thousands share a distance
    return static_cast<double>(least) * static_cast<double>(scale) * digits / 2 >= needed;
}

template <class T>
double distance_of_any_size(const T* x, const T* y, std::int64_t depth) {
    const double square = cpu::active_set<T>().squared_distance(x, y, depth);
    if (square > 0x1p-900 && square < 0x1p1000) return std::sqrt(square) / distance_unit;
    const auto difference = [&](std::int64_t k) {  // a quarter of it, which is finite
        return static_cast<double>(x[k]) / 4 - static_cast<double>(y[k]) / 4;
    };
    double largest = 0, sum = 0;
    for (std::int64_t k = 0; k < depth; ++k) largest = std::max(largest, std::abs(difference(k)));
    if (largest == 0) return 0;
    for (std::int64_t k = 0; k < depth; ++k) sum += std::pow(difference(k) / largest, 2);
    return std::sqrt(sum) * (largest / (distance_unit / 4));
}

void silhouettes_of_positions(matrix_view<double> x, const partition& p, const std::vector<std::int64_t>& positions,
                              array_view<double> samples, int threads, const options& opt) {
    const std::vector<std::int64_t> class_at = class_of_position(p);
    parallel_for(static_cast<std::int64_t>(positions.size()), threads, 0, without_fraction(opt),
                 [&](std::int64_t index, int worker, progress_meter& meter) {
                     const std::int64_t position = positions[static_cast<std::size_t>(index)];
                     const std::int64_t row = p.order[static_cast<std::size_t>(position)];
                     std::vector<double> sums(static_cast<std::size_t>(p.classes()));
                     for (std::size_t j = 0; j < class_at.size(); ++j)
                         sums[static_cast<std::size_t>(class_at[j])] +=
                             distance_of_any_size(x.row(row), x.row(p.order[j]), x.cols);
                     samples[row] = silhouette_from_sums(sums, class_at[static_cast<std::size_t>(position)], p);
                     meter.advance(0, worker);
                 });
}

template <class T>
void restore_vanished(matrix_view<T> x, matrix_view<T> y, array_view<T> out, metric how, T scale, int threads,
                      const options& opt) {
    const bool squares = !facts_of(how).root;
    const double least = vanishing_distance<T> / static_cast<double>(scale), limit = squares ? least * least : least;
    parallel_for(x.rows, threads, 0, without_fraction(opt), [&](std::int64_t i, int worker, progress_meter& meter) {
        for (std::int64_t j = 0; j < y.rows; ++j) {
            T& stored = out[i * y.rows + j];
            if (static_cast<double>(stored) >= limit) continue;
            const double distance = distance_of_any_size(x.row(i), y.row(j), x.cols) * distance_unit;
            stored = static_cast<T>(squares ? distance * distance : distance);
        }
        meter.advance(0, worker);
    });
}

template <class T>
void refuse_vanished(std::int64_t row) {
    constexpr bool is_float = sizeof(T) == 4;
    throw std::invalid_argument("the largest values of X are so large that the distances of row " +
                                std::to_string(row) + " vanish beside them in " +
                                (is_float ? "float32: use float64, or" : "float64:") + " replace those values");
}

#define ZOORANK_INSTANTIATE(T)                                                                                     \
    template T least_magnitude(matrix_view<T>);                                                                    \
    template bool differences_last(T, T);                                                                          \
    template double distance_of_any_size(const T*, const T*, std::int64_t);                                        \
    template void restore_vanished(matrix_view<T>, matrix_view<T>, array_view<T>, metric, T, int, const options&); \
    template void refuse_vanished<T>(std::int64_t);
ZOORANK_INSTANTIATE(float)
ZOORANK_INSTANTIATE(double)

}  // namespace zoorank
