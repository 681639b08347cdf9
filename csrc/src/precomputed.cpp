#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "methods.hpp"
#include "thread_pool.hpp"

namespace zoorank {
namespace {

constexpr std::int64_t task_rows = 16;

// scikit-learn's slack for a diagonal that was computed. Rounding makes distances negative too, as in 1 - cos of equal
// rows: within the slack they count as 0.
template <class T>
constexpr T slack = std::numeric_limits<T>::epsilon() * 100;

template <class T>
double silhouette_of_row(const T* row, std::int64_t i, const partition& p, const std::vector<std::int64_t>& class_of,
                         std::vector<double>& sums, T& lowest) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t j = 0; j < class_of.size(); ++j) {
        lowest = std::min(lowest, row[j]);
        sums[static_cast<std::size_t>(class_of[j])] += static_cast<double>(std::max(row[j], T(0)));
    }
    const std::int64_t own = class_of[static_cast<std::size_t>(i)];
    if (p.size(own) == 1) return 0;
    double nearest = std::numeric_limits<double>::infinity();
    for (std::int64_t c = 0; c < p.classes(); ++c)
        if (c != own) nearest = std::min(nearest, sums[static_cast<std::size_t>(c)] / static_cast<double>(p.size(c)));
    return silhouette_of(sums[static_cast<std::size_t>(own)] / static_cast<double>(p.size(own) - 1), nearest);
}

void lower_to(std::atomic<std::int64_t>& least, std::int64_t value) {
    std::int64_t seen = least;
    while (value < seen && !least.compare_exchange_weak(seen, value)) {
    }
}

}  // namespace

template <class T>
void silhouettes_of_distances(matrix_view<T> distances, const partition& p, array_view<double> samples, int threads,
                              const options& opt) {
    const std::int64_t n = distances.rows;
    if (distances.cols != n)
        throw std::invalid_argument("a precomputed distance matrix must be square, got " + std::to_string(n) + " x " +
                                    std::to_string(distances.cols));
    for (std::int64_t i = 0; i < n; ++i)
        if (std::abs(distances.row(i)[i]) > slack<T>)
            throw std::invalid_argument("the precomputed distance matrix has a non-zero on its diagonal, in row " +
                                        std::to_string(i));
    const std::vector<std::int64_t> position_class = class_of_position(p);
    std::vector<std::int64_t> class_of(position_class.size());
    for (std::size_t at = 0; at < class_of.size(); ++at)
        class_of[static_cast<std::size_t>(p.order[at])] = position_class[at];
    std::atomic<std::int64_t> first_negative{n};
    parallel_for((n + task_rows - 1) / task_rows, threads, n, opt,
                 [&](std::int64_t index, int worker, progress_meter& meter) {
                     std::vector<double> sums(static_cast<std::size_t>(p.classes()));
                     const std::int64_t end = std::min(n, (index + 1) * task_rows);
                     for (std::int64_t i = index * task_rows; i < end; ++i) {
                         T lowest = 0;
                         samples[i] = silhouette_of_row(distances.row(i), i, p, class_of, sums, lowest);
                         if (lowest < -slack<T>) lower_to(first_negative, i);
                     }
                     meter.advance(end - index * task_rows, worker);
                 });
    if (first_negative < n)
        throw std::invalid_argument("the distance matrix holds a negative distance; the first bad row is " +
                                    std::to_string(first_negative));
}

template void silhouettes_of_distances(matrix_view<float>, const partition&, array_view<double>, int, const options&);
template void silhouettes_of_distances(matrix_view<double>, const partition&, array_view<double>, int, const options&);

}  // namespace zoorank
