#include <zoorank/distances.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "aligned_buffer.hpp"
#include "cpu/kernel_table.hpp"
#include "scaling.hpp"
#include "thread_pool.hpp"

namespace zoorank {
namespace {

using cpu::block_side;

// One side of the matrix: rows as they came or, for cosine, brought to length 1; and their panels.
template <class T>
struct side {
    matrix_view<T> rows;
    std::vector<T> directions;
    std::vector<bool> is_zero;
    aligned_buffer<T> packed, norms;
};

template <class T>
void normalise(side<T>& s) {
    const matrix_view<T> x = s.rows;
    s.directions.resize(static_cast<std::size_t>(x.rows * x.cols));
    s.is_zero.resize(static_cast<std::size_t>(x.rows));
    for (std::int64_t i = 0; i < x.rows; ++i) {
        T* z = s.directions.data() + i * x.cols;
        double largest = 0, square = 0;
        for (std::int64_t k = 0; k < x.cols; ++k) largest = std::max(largest, std::abs(static_cast<double>(x.row(i)[k])));
        s.is_zero[static_cast<std::size_t>(i)] = largest == 0;
        if (largest == 0) continue;
        for (std::int64_t k = 0; k < x.cols; ++k) {
            const double value = static_cast<double>(x.row(i)[k]) / largest;
            square += value * value;
        }
        const double length = std::sqrt(square);
        for (std::int64_t k = 0; k < x.cols; ++k)
            z[k] = static_cast<T>(static_cast<double>(x.row(i)[k]) / largest / length);
    }
    s.rows = {s.directions.data(), x.rows, x.cols};
}

template <class T>
void pack(side<T>& s, T scale, const T* centre, const cpu::kernel_set<T>& kernels) {
    const std::int64_t padded = (s.rows.rows + kernels.panel - 1) / kernels.panel * kernels.panel;
    s.packed = aligned_buffer<T>(padded * s.rows.cols);
    s.norms = aligned_buffer<T>(padded);
    kernels.pack({s.rows.data, s.rows.stride, nullptr, s.rows.rows, s.rows.cols, scale, centre, s.packed.data(),
                  s.norms.data()});
}

template <class T>
cpu::operand<T> block_of(const side<T>& s, std::int64_t begin, std::int64_t count) {
    return {s.packed.data() + begin * s.rows.cols, s.norms.data() + begin, s.rows.row(begin), s.rows.stride, nullptr,
            count};
}

// What a stored value has to be multiplied by: the scale of the rows taken out again, and halved for cosine.
template <class T>
T factor_of(metric how, T scale) {
    if (how == metric::cosine) return T(0.5);
    return how == metric::sqeuclidean ? 1 / scale / scale : 1 / scale;
}

template <class T>
void distances_between(matrix_view<T> x, matrix_view<T> y, array_view<T> out, metric how, const options& opt) {
    if (how == metric::precomputed) throw std::invalid_argument("metric 'precomputed' has no rows to compare");
    if (x.cols != y.cols)
        throw std::invalid_argument("X has " + std::to_string(x.cols) + " features and Y has " + std::to_string(y.cols));
    if (x.cols < 1) throw std::invalid_argument("X has no features");
    if (out.size != x.rows * y.rows)
        throw std::invalid_argument("room for " + std::to_string(out.size) + " distances, need " +
                                    std::to_string(x.rows * y.rows));
    T scale = std::min(checked_scale(x, "X"), checked_scale(y, "Y"));
    if (out.size == 0) return;

    const cpu::kernel_set<T>& kernels = cpu::active_set<T>();
    side<T> left{x, {}, {}, {}, {}}, right{y, {}, {}, {}, {}};
    const T factor = factor_of(how, scale);
    if (how == metric::cosine) {
        normalise(left);
        normalise(right);
        scale = 1;
    }
    std::vector<T> centre;
    if (how != metric::manhattan) {
        std::vector<std::int64_t> order(static_cast<std::size_t>(right.rows.rows));
        std::iota(order.begin(), order.end(), 0);
        centre = robust_centre(right.rows, order.data(), right.rows.rows, scale);
    }
    pack(left, scale, centre.empty() ? nullptr : centre.data(), kernels);
    pack(right, scale, centre.empty() ? nullptr : centre.data(), kernels);
    const auto store = how == metric::manhattan   ? kernels.store_manhattan
                       : how == metric::euclidean ? kernels.store_euclidean
                                                  : kernels.store_sqeuclidean;

    const int threads = resolve_threads(opt.threads);
    std::vector<std::unique_ptr<aligned_buffer<T>>> scratch(static_cast<std::size_t>(threads));
    parallel_for((x.rows + block_side - 1) / block_side, threads, out.size, opt,
                 [&](std::int64_t index, int worker, progress_meter& meter) {
        auto& products = scratch[static_cast<std::size_t>(worker)];
        if (!products) products = std::make_unique<aligned_buffer<T>>(cpu::scratch_size);
        const std::int64_t i = index * block_side, rows = std::min(block_side, x.rows - i);
        for (std::int64_t j = 0; j < y.rows; j += block_side) {
            const std::int64_t cols = std::min(block_side, y.rows - j);
            T* block = out.data + i * y.rows + j;
            store({{block_of(left, i, rows), block_of(right, j, cols), x.cols, scale, products->data()}, block, y.rows});
            for (std::int64_t r = 0; r < rows; ++r)
                for (std::int64_t c = 0; c < cols; ++c) {
                    T& value = block[r * y.rows + c];
                    value *= factor;
                    // A row of zeros has no direction; scikit-learn puts it at distance 1 from everything.
                    if (how == metric::cosine && (left.is_zero[static_cast<std::size_t>(i + r)] ||
                                                  right.is_zero[static_cast<std::size_t>(j + c)]))
                        value = 1;
                }
            meter.advance(rows * cols, worker);
        }
    });
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
