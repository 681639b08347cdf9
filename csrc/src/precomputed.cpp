#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "methods.hpp"
#include "scaling.hpp"
#include "thread_pool.hpp"

namespace zoorank {
namespace {

constexpr std::int64_t task_rows = 16;

// scikit-learn's slack for a diagonal that was computed. Rounding makes distances negative too, as in 1 - cos of equal
// rows: within the slack they count as 0.
template <class T>
constexpr T slack = std::numeric_limits<T>::epsilon() * 100;

// The row with 0 for what rounding made negative; empty if something else did.
template <class T>
std::vector<T> without_rounding(const T* row, std::size_t count) {
    if (*std::min_element(row, row + count) < -slack<T>) return {};
    std::vector<T> clean(row, row + count);
    for (T& distance : clean) distance = std::max(distance, T(0));
    return clean;
}

// Adds a row up by class, scaled so that sums stay finite, and tells whether any of it has the sign bit set.
template <class T>
bool add_up(const T* row, double scale, const std::vector<std::int64_t>& class_of, std::vector<double>& sums) {
    std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t> bits, all = 0;
    std::fill(sums.begin(), sums.end(), 0.0);
    for (std::size_t j = 0; j < class_of.size(); ++j) {
        std::memcpy(&bits, row + j, sizeof bits);
        all |= bits;
        sums[static_cast<std::size_t>(class_of[j])] += static_cast<double>(row[j]) * scale;
    }
    return all >> (8 * sizeof(T) - 1) != 0;
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
    const auto scale = static_cast<double>(checked_scale(distances, "the distance matrix", threads, opt));
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
                         if (add_up(distances.row(i), scale, class_of, sums)) {
                             const std::vector<T> clean = without_rounding(distances.row(i), class_of.size());
                             if (clean.empty()) {
                                 lower_to(first_negative, i);
                                 continue;
                             }
                             add_up(clean.data(), scale, class_of, sums);
                         }
                         samples[i] = silhouette_from_sums(sums, class_of[static_cast<std::size_t>(i)], p);
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
