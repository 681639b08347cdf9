#include <zoorank/distances.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "aligned_buffer.hpp"
#include "cpu/kernel_table.hpp"
#include "packed_rows.hpp"
#include "precision.hpp"
#include "scaling.hpp"
#include "thread_pool.hpp"
#include "vanishing.hpp"

namespace zoorank {
namespace {

// The rows of a matrix brought to length 1; rows of zeros stay, and are remembered.
template <class T>
struct directions {
    directions(matrix_view<T> x, T scale, int threads, const options& opt)
        : values(static_cast<std::size_t>(x.rows * x.cols)) {
        std::vector<char> is_zero(static_cast<std::size_t>(x.rows));
        parallel_for((x.rows + cpu::block_side - 1) / cpu::block_side, threads, 0, without_fraction(opt),
                     [&](std::int64_t index, int, progress_meter&) {
                         std::vector<double> z(static_cast<std::size_t>(x.cols));
                         const std::int64_t end = std::min((index + 1) * cpu::block_side, x.rows);
                         for (std::int64_t i = index * cpu::block_side; i < end; ++i) {
                             is_zero[static_cast<std::size_t>(i)] = !load_direction(x.row(i), x.cols, scale, z.data());
                             std::transform(z.begin(), z.end(), values.data() + i * x.cols,
                                            [](double v) { return static_cast<T>(v); });
                         }
                     });
        for (std::int64_t i = 0; i < x.rows; ++i)
            if (is_zero[static_cast<std::size_t>(i)]) zero_rows.push_back(i);
    }

    std::vector<T> values;
    std::vector<std::int64_t> zero_rows;
};

// A row of zeros has no direction; scikit-learn puts it at cosine distance 1 from everything.
template <class T>
void set_zero_rows_apart(const directions<T>& x, const directions<T>& y, std::int64_t rows, std::int64_t cols, T* out) {
    for (const std::int64_t i : x.zero_rows) std::fill(out + i * cols, out + (i + 1) * cols, T(1));
    for (const std::int64_t j : y.zero_rows)
        for (std::int64_t i = 0; i < rows; ++i) out[i * cols + j] = 1;
}

// What a stored value has to be multiplied by, twice: the scale of the rows taken out again, and half for cosine. Two
// factors, because the square of one may be too large where the distance is not.
template <class T>
std::array<T, 2> factors_of(metric how, T scale) {
    const metric_facts& facts = facts_of(how);
    if (facts.directions) return {T(0.5), T(1)};
    return {1 / scale, facts.from_means() ? 1 / scale : T(1)};
}

// All rows of a matrix, packed side by side by all threads.
template <class T>
packed_rows<T> pack_all(const cpu::kernel_set<T>& kernels, matrix_view<T> x, T scale, const T* centre, int threads,
                        const options& opt) {
    const std::int64_t block_rows = kernels.block_rows;
    packed_rows<T> packed(kernels, x.rows, x.cols);
    packed.lend(x.data, x.stride, nullptr);
    parallel_for((x.rows + block_rows - 1) / block_rows, threads, 0, without_fraction(opt),
                 [&](std::int64_t index, int, progress_meter&) {
                     const std::int64_t begin = index * block_rows;
                     packed.pack_part(begin, std::min(block_rows, x.rows - begin), scale, centre);
                 });
    return packed;
}

template <class T>
void distances_between(matrix_view<T> x, matrix_view<T> y, array_view<T> out, metric how, const options& opt) {
    check_precision(opt);
    const bool of_squares = facts_of(how).of == summand::square, of_directions = facts_of(how).directions;
    const cpu::kernel_set<T>& kernels = kernels_for_distances<T>(how, opt);
    const auto store = store_kernel(kernels, how);  // refuses what compares no rows
    if (x.cols != y.cols)
        throw std::invalid_argument("X has " + std::to_string(x.cols) + " features and Y has " +
                                    std::to_string(y.cols));
    if (x.cols < 1) throw std::invalid_argument("X has no features");
    if (out.size != x.rows * y.rows)
        throw std::invalid_argument("room for " + std::to_string(out.size) + " distances, need " +
                                    std::to_string(x.rows * y.rows));
    const int threads = resolve_threads(opt.threads);
    T scale = checked_scale(x, "X", threads, opt);
    scale = std::min(scale, checked_scale(y, "Y", threads, opt));
    const std::array<T, 2> factors = factors_of(how, scale);
    if (out.size == 0) return;

    std::optional<directions<T>> left, right;
    if (of_directions) {
        x = matrix_view<T>(left.emplace(x, scale, threads, opt).values.data(), x.rows, x.cols);
        y = matrix_view<T>(right.emplace(y, scale, threads, opt).values.data(), y.rows, y.cols);
        scale = 1;
    }
    std::vector<T> centre;
    if (of_squares) {
        std::vector<std::int64_t> order(static_cast<std::size_t>(y.rows));
        std::iota(order.begin(), order.end(), 0);
        centre = dithered_centre(y, order.data(), y.rows, scale);
    }
    const T* const origin = centre.empty() ? nullptr : centre.data();
    const std::int64_t block_rows = kernels.block_rows;
    const packed_rows<T> rows_of_x = pack_all(kernels, x, scale, origin, threads, opt);
    const packed_rows<T> rows_of_y = pack_all(kernels, y, scale, origin, threads, opt);

    std::vector<std::unique_ptr<aligned_buffer<T>>> scratch(static_cast<std::size_t>(threads));
    parallel_for((x.rows + block_rows - 1) / block_rows, threads, out.size, opt,
                 [&](std::int64_t index, int worker, progress_meter& meter) {
                     auto& products = scratch[static_cast<std::size_t>(worker)];
                     if (!products) products = std::make_unique<aligned_buffer<T>>(cpu::scratch_size);
                     const std::int64_t i = index * block_rows, rows = std::min(block_rows, x.rows - i);
                     for (std::int64_t j = 0; j < y.rows; j += block_rows) {
                         const std::int64_t cols = std::min(block_rows, y.rows - j);
                         T* block = out.data + i * y.rows + j;
                         store({{rows_of_x.block(i, rows), rows_of_y.block(j, cols), x.cols, scale, products->data()},
                                block,
                                y.rows});
                         for (std::int64_t r = 0; r < rows; ++r)
                             for (std::int64_t c = 0; c < cols; ++c)
                                 block[r * y.rows + c] = block[r * y.rows + c] * factors[0] * factors[1];
                         meter.advance(rows * cols, worker);
                     }
                 });
    if (left) set_zero_rows_apart(*left, *right, x.rows, y.rows, out.data);
    if (of_squares && !of_directions && !differences_last(std::min(least_magnitude(x), least_magnitude(y)), scale))
        restore_vanished(x, y, out, how, scale, threads, opt);
}

}  // namespace

void pairwise_distances(matrix_view<float> x, matrix_view<float> y, array_view<float> out, metric how,
                        const options& opt) {
    distances_between(x, y, out, how, opt);
}

void pairwise_distances(matrix_view<double> x, matrix_view<double> y, array_view<double> out, metric how,
                        const options& opt) {
    distances_between(x, y, out, how, opt);
}

}  // namespace zoorank
