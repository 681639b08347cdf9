#include "scaling.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "cpu/kernel_table.hpp"
#include "thread_pool.hpp"

namespace zoorank {
namespace {

template <class Visit>
void for_sampled_rows(const std::int64_t* order, std::int64_t count, Visit visit) {
    for (const std::int64_t position : centre_rows(count)) visit(order[position]);
}

[[noreturn]] void refuse(const char* name, std::int64_t row) {
    throw std::invalid_argument(std::string(name) + " holds NaN or infinity; the first bad row is " +
                                std::to_string(row));
}

// The first row that holds a NaN or an infinity, or x.rows; and the largest |x| before it.
template <class T>
std::int64_t first_bad_row(matrix_view<T> x, T& largest) {
    const auto& kernels = cpu::active_set<T>();
    if (x.stride == x.cols) {
        largest = kernels.largest_magnitude(x.data, x.rows * x.cols);
        if (std::isfinite(largest)) return x.rows;
    }
    largest = 0;
    for (std::int64_t i = 0; i < x.rows; ++i) {
        const T most = kernels.largest_magnitude(x.row(i), x.cols);
        if (!std::isfinite(most)) return i;
        largest = std::max(largest, most);
    }
    return x.rows;
}

// The median over sampled rows of the squared distance to `centre`.
template <class T>
double median_square(matrix_view<T> x, const std::int64_t* order, std::int64_t count, T scale,
                     const std::vector<T>& centre) {
    std::vector<double> squares;
    for_sampled_rows(order, count, [&](std::int64_t row) {
        double square = 0;
        for (std::size_t k = 0; k < centre.size(); ++k) {
            const double difference =
                static_cast<double>(x.row(row)[k]) * static_cast<double>(scale) - static_cast<double>(centre[k]);
            square += difference * difference;
        }
        squares.push_back(square);
    });
    const auto middle = squares.begin() + static_cast<std::ptrdiff_t>(squares.size() / 2);
    std::nth_element(squares.begin(), middle, squares.end());
    return *middle;
}

}  // namespace

std::vector<std::int64_t> centre_rows(std::int64_t count) {
    const std::int64_t samples = std::min(count, cpu::median_rows);
    std::vector<std::int64_t> rows;
    for (std::int64_t s = 0; s < samples; ++s) rows.push_back((2 * s + 1) * count / (2 * samples));
    return rows;
}

template <class T>
T checked_largest(matrix_view<T> x, const char* name, std::int64_t first_row) {
    T largest = 0;
    const std::int64_t bad = first_bad_row(x, largest);
    if (bad < x.rows) refuse(name, first_row + bad);
    return largest;
}

template <class T>
T scale_for(T largest) {
    constexpr bool is_float = std::is_same_v<T, float>;
    constexpr int target = is_float ? 48 : 400;   // sums of 2^26 squares of centred values stay finite
    constexpr int limit = is_float ? 126 : 1022;  // beyond it the scale itself would not be a normal number
    // Zeros are as small as can be: the least scale of two matrices has to be that of the other one.
    if (largest == 0) return std::ldexp(T(1), limit);
    return std::ldexp(T(1), std::clamp(target - std::ilogb(largest), -limit, limit));
}

template <class T>
bool load_direction(const T* x, std::int64_t count, T scale, double* z) {
    const auto& kernels = cpu::active_set<T>();
    if (kernels.load_row({x, count, scale, nullptr, true, z})) return true;
    const T largest = kernels.largest_magnitude(x, count);
    return largest > 0 && kernels.load_row({x, count, scale_for(largest), nullptr, true, z});
}

template <class T>
T checked_scale(matrix_view<T> x, const char* name, int threads, const options& opt) {
    constexpr std::int64_t task_values = 1 << 18;
    const std::int64_t task_rows = std::max<std::int64_t>(1, task_values / x.cols);
    const std::int64_t tasks = (x.rows + task_rows - 1) / task_rows;
    std::vector<T> largest(static_cast<std::size_t>(tasks), T(0));
    std::vector<std::int64_t> bad(static_cast<std::size_t>(tasks), x.rows);
    parallel_for(tasks, threads, 0, without_fraction(opt), [&](std::int64_t index, int, progress_meter&) {
        const std::int64_t begin = index * task_rows, rows = std::min(task_rows, x.rows - begin);
        const auto at = static_cast<std::size_t>(index);
        const std::int64_t first = first_bad_row(matrix_view<T>(x.row(begin), rows, x.cols, x.stride), largest[at]);
        if (first < rows) bad[at] = begin + first;
    });
    for (const std::int64_t row : bad)
        if (row < x.rows) refuse(name, row);
    return scale_for(tasks > 0 ? *std::max_element(largest.begin(), largest.end()) : T(0));
}

template <class T>
std::vector<T> robust_centre(matrix_view<T> x, const std::int64_t* order, std::int64_t count, T scale) {
    std::array<const T*, cpu::median_rows> rows{};
    std::size_t samples = 0;
    for_sampled_rows(order, count, [&](std::int64_t row) { rows[samples++] = x.row(row); });
    std::vector<T> centre(static_cast<std::size_t>(x.cols));
    cpu::active_set<T>().medians({rows.data(), static_cast<std::int64_t>(samples), x.cols, scale, centre.data()});
    return centre;
}

template <class T>
std::vector<T> dithered_centre(matrix_view<T> x, const std::int64_t* order, std::int64_t count, T scale) {
    std::vector<T> centre = robust_centre(x, order, count, scale);
    const double feature = std::sqrt(median_square(x, order, count, scale, centre) / static_cast<double>(x.cols));
    if (feature == 0 || !std::isfinite(feature)) return centre;
    // Of few digits, so that rows of whole numbers less a centre of them remain exact.
    constexpr int largest = 256;
    const double step = std::ldexp(1.0, std::ilogb(feature) - 4) / largest;
    std::minstd_rand random;
    for (T& value : centre) {
        const auto steps = static_cast<int>(random() >> 22) - largest;
        value = static_cast<T>(static_cast<double>(value) + step * steps);
    }
    return centre;
}

template <class T>
bool is_tight(matrix_view<T> x, const std::int64_t* order, std::int64_t count, T scale, const std::vector<T>& own,
              const std::vector<T>& centre) {
    double offset = 0;
    for (std::size_t k = 0; k < own.size(); ++k) {
        const double difference = static_cast<double>(own[k]) - static_cast<double>(centre[k]);
        offset += difference * difference;
    }
    return 4 * median_square(x, order, count, scale, own) < offset;
}

template float checked_largest(matrix_view<float>, const char*, std::int64_t);
template double checked_largest(matrix_view<double>, const char*, std::int64_t);
template float scale_for(float);
template double scale_for(double);
template bool load_direction(const float*, std::int64_t, float, double*);
template bool load_direction(const double*, std::int64_t, double, double*);
template float checked_scale(matrix_view<float>, const char*, int, const options&);
template double checked_scale(matrix_view<double>, const char*, int, const options&);
template std::vector<float> robust_centre(matrix_view<float>, const std::int64_t*, std::int64_t, float);
template std::vector<double> robust_centre(matrix_view<double>, const std::int64_t*, std::int64_t, double);
template std::vector<float> dithered_centre(matrix_view<float>, const std::int64_t*, std::int64_t, float);
template std::vector<double> dithered_centre(matrix_view<double>, const std::int64_t*, std::int64_t, double);
template bool is_tight(matrix_view<float>, const std::int64_t*, std::int64_t, float, const std::vector<float>&,
                       const std::vector<float>&);
template bool is_tight(matrix_view<double>, const std::int64_t*, std::int64_t, double, const std::vector<double>&,
                       const std::vector<double>&);

}  // namespace zoorank
