#pragma once
// Views: what the library borrows from a caller. Nothing here owns memory.
#include <cstdint>
#include <utility>

namespace zoorank {

/// A row-major matrix whose rows are `stride` elements apart; features of one row are adjacent.
template <class T>
struct matrix_view {
    const T* data = nullptr;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
    std::int64_t stride = 0;

    matrix_view() = default;
    matrix_view(const T* first, std::int64_t n_rows, std::int64_t n_cols) noexcept
        : matrix_view(first, n_rows, n_cols, n_cols) {}
    matrix_view(const T* first, std::int64_t n_rows, std::int64_t n_cols, std::int64_t row_stride) noexcept
        : data(first), rows(n_rows), cols(n_cols), stride(row_stride) {}

    const T* row(std::int64_t i) const noexcept { return data + i * stride; }
};

/// A contiguous sequence; anything with data() and size(), std::vector say, converts to it.
template <class T>
struct array_view {
    T* data = nullptr;
    std::int64_t size = 0;

    array_view() = default;
    array_view(T* first, std::int64_t count) noexcept : data(first), size(count) {}
    template <class Container, class = decltype(std::declval<Container&>().data())>
    array_view(Container&& values)  // NOLINT: implicit by design, as std::span
        : data(values.data()), size(static_cast<std::int64_t>(values.size())) {}

    T& operator[](std::int64_t i) const noexcept { return data[i]; }
};

}  // namespace zoorank
