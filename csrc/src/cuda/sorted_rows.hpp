#pragma once
// A matrix on the device with its rows looked over, and what the labels say of them: what every method begins with.
#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <type_traits>
#include <vector>
#include <zoorank/views.hpp>

#include "cuda/backend.hpp"
#include "cuda/device.hpp"
#include "cuda/kernels.hpp"
#include "partition.hpp"
#include "scaling.hpp"
#include "vanishing.hpp"

namespace zoorank::cuda {

/// Bytes that a matrix takes when it has to be copied to the device.
template <class T>
std::int64_t upload_bytes(const input<T>& x) {
    return x.on_device ? 0 : x.view.rows * x.view.cols * static_cast<std::int64_t>(sizeof(T));
}

/// Rows on the device: borrowed where they lie there, else a copy.
template <class T>
class device_rows {
public:
    device_rows(const input<T>& x, cudaStream_t stream) : view_(x.view) {
        if (x.on_device) return;
        copy_ = buffer<T>(x.view.rows * x.view.cols, stream);
        view_ = matrix_view<T>(copy_.get(), x.view.rows, x.view.cols);
        if (x.view.stride >= x.view.cols)
            upload(x.view, 0, x.view.rows, stream);
        else
            upload_laid_out(x.view, stream);
    }

    const matrix_view<T>& view() const { return view_; }

    /// dithered_centre(), from the few rows that it looks at.
    std::vector<T> centre(const std::int64_t* order, std::int64_t count, T scale, cudaStream_t stream) const {
        const std::vector<std::int64_t> rows = centre_rows(count);
        const auto samples = static_cast<std::int64_t>(rows.size());
        std::vector<T> values(static_cast<std::size_t>(samples * view_.cols));
        for (std::size_t s = 0; s < rows.size(); ++s)
            check(cudaMemcpyAsync(values.data() + s * static_cast<std::size_t>(view_.cols), view_.row(order[rows[s]]),
                                  static_cast<std::size_t>(view_.cols) * sizeof(T), cudaMemcpyDeviceToHost, stream),
                  "copying rows to the host");
        check(cudaStreamSynchronize(stream), "copying rows to the host");
        std::vector<std::int64_t> every(rows.size());
        std::iota(every.begin(), every.end(), 0);
        return dithered_centre(matrix_view<T>(values.data(), samples, view_.cols), every.data(), samples, scale);
    }

    source_rows<T> source(const std::int64_t* order, T scale, const T* centre) const {
        return {view_.data, view_.stride, order, view_.rows, view_.cols, scale, centre};
    }

private:
    // Rows of a view that lie one behind the other, to rows [begin, begin + count) of the copy.
    void upload(const matrix_view<T>& from, std::int64_t begin, std::int64_t count, cudaStream_t stream) {
        const std::size_t width = static_cast<std::size_t>(from.cols) * sizeof(T);
        check(cudaMemcpy2DAsync(copy_.get() + begin * from.cols, width, from.data,
                                static_cast<std::size_t>(from.stride) * sizeof(T), width,
                                static_cast<std::size_t>(count), cudaMemcpyHostToDevice, stream),
              "copying rows to the device");
    }

    // Rows that overlap or run backwards, X[::-1] say: CUDA copies no such thing, so they are laid out here first.
    void upload_laid_out(const matrix_view<T>& from, cudaStream_t stream) {
        constexpr std::int64_t elements = std::int64_t(1) << 22;
        const std::int64_t at_once = std::min(from.rows, std::max<std::int64_t>(1, elements / from.cols));
        std::vector<T> rows(static_cast<std::size_t>(at_once * from.cols));
        for (std::int64_t begin = 0; begin < from.rows; begin += at_once) {
            const std::int64_t count = std::min(at_once, from.rows - begin);
            for (std::int64_t i = 0; i < count; ++i)
                std::copy_n(from.row(begin + i), from.cols, rows.data() + i * from.cols);
            upload({rows.data(), count, from.cols}, begin, count, stream);
            check(cudaStreamSynchronize(stream), "copying rows to the device");
        }
    }

    matrix_view<T> view_;
    buffer<T> copy_;
};

/// Rows on the device that were looked over there.
template <class T>
class checked_rows : public device_rows<T> {
public:
    /// Throws std::invalid_argument that calls the matrix `name` where it holds a NaN or an infinity.
    checked_rows(const input<T>& x, const char* name, cudaStream_t stream) : device_rows<T>(x, stream) {
        const matrix_view<T>& rows = this->view();
        const buffer<survey> found(std::vector<survey>(1), stream);
        look_over(rows.data, rows.rows, rows.cols, rows.stride, found.get(), stream);
        survey result;
        to_host(&result, found.get(), 1, stream);
        if (result.first_bad_row != no_row) {
            const auto bad = static_cast<std::int64_t>(result.first_bad_row);
            std::vector<T> row(static_cast<std::size_t>(rows.cols));
            to_host(row.data(), rows.row(bad), rows.cols, stream);
            checked_largest(matrix_view<T>(row.data(), 1, rows.cols), name, bad);  // throws
        }
        scale_ = scale_for(value_of(result.largest_bits));
        if (result.least_bits != no_row) least_ = value_of(result.least_bits);
    }

    /// What checked_scale() says of them.
    T scale() const { return scale_; }

    /// What least_magnitude() says of them.
    T least() const { return least_; }

    /// Throws std::invalid_argument where the distances of a row have vanished, unless they are those of equal rows.
    void require_distances(std::int64_t row) const {
        if (!differences_last(least_, scale_)) refuse_vanished<T>(row);
    }

private:
    static T value_of(unsigned long long magnitude) {
        using bits_of_value = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
        const auto bits = static_cast<bits_of_value>(magnitude);
        T value;
        std::memcpy(&value, &bits, sizeof value);
        return value;
    }

    T scale_, least_ = std::numeric_limits<T>::infinity();
};

/// The first row of which a kernel says something.
class first_row {
public:
    explicit first_row(cudaStream_t stream) : row_(std::vector<unsigned long long>{no_row}, stream) {}

    unsigned long long* get() const { return row_.get(); }

    std::optional<std::int64_t> found(cudaStream_t stream) const {
        unsigned long long row;
        to_host(&row, row_.get(), 1, stream);
        if (row == no_row) return std::nullopt;
        return static_cast<std::int64_t>(row);
    }

private:
    buffer<unsigned long long> row_;
};

/// A partition on the device.
struct device_partition {
    device_partition(const partition& p, cudaStream_t stream)
        : order(p.order, stream), class_begin(p.begin, stream), class_of(class_of_position(p), stream) {}
    buffer<std::int64_t> order, class_begin, class_of;

    static std::int64_t bytes(const partition& p) { return 16 * p.rows() + 8 * (p.classes() + 1); }
};

}  // namespace zoorank::cuda
