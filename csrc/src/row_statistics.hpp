#pragma once
// What row_statistics knows; exact_rows and reference_rows read it.
#include <limits>
#include <optional>
#include <zoorank/estimate.hpp>

#include "mean_search.hpp"
#include "moments.hpp"
#include "partition.hpp"

namespace zoorank {

template <class T>
struct row_statistics<T>::state {
    state(class_numbers all_numbers, std::int64_t columns, metric m);

    std::int64_t rows() const noexcept { return static_cast<std::int64_t>(numbers.of_row.size()); }

    /// Throws std::invalid_argument unless the block is rows of ours.
    void check_block(matrix_view<T> block, std::int64_t first_row) const;
    /// Throws std::invalid_argument unless `chosen` may be the rows of these indices.
    void check_chosen(matrix_view<T> chosen, array_view<const std::int64_t> indices, const char* name) const;
    void require(std::int64_t done, const char* pass) const;
    partition partition_of_block(matrix_view<T> block, std::int64_t first_row) const;
    /// Throws std::invalid_argument where the distances of a row vanish; `mean` is the larger one of its two means.
    void require_distances(double mean, std::int64_t row) const;

    class_numbers numbers;
    std::int64_t cols;
    metric how;
    std::vector<std::int64_t> sizes;  // of classes
    std::int64_t checked = 0, summed = 0;
    T largest = 0, least = std::numeric_limits<T>::infinity();  // |x|, but for 0
    std::vector<T> samples;                                     // the rows of which the centre is the median
    row_frame<T> frame;
    class_moments moments;
    std::optional<mean_search> search;
};

}  // namespace zoorank
