#pragma once
// Rows grouped by class: everything the engine needs to know of the labels.
#include <cstdint>
#include <vector>
#include <zoorank/views.hpp>

namespace zoorank {

/// Classes are numbered in ascending order of their label; rows keep their order within a class.
struct partition {
    std::vector<std::int64_t> order;  ///< sorted position -> row
    std::vector<std::int64_t> begin;  ///< class c holds sorted positions [begin[c], begin[c + 1])

    std::int64_t rows() const noexcept { return static_cast<std::int64_t>(order.size()); }
    std::int64_t classes() const noexcept { return static_cast<std::int64_t>(begin.size()) - 1; }
    std::int64_t size(std::int64_t c) const noexcept {
        return begin[static_cast<std::size_t>(c) + 1] - begin[static_cast<std::size_t>(c)];
    }
};

/// The class number of each row, in ascending order of labels.
struct class_numbers {
    std::vector<std::int64_t> of_row;
    std::int64_t classes = 0;
};

/// Throws std::invalid_argument unless there are 2 to n - 1 classes.
class_numbers number_classes(array_view<const std::int64_t> labels);

/// Rows of which class numbers are given; a class may have none of them.
partition partition_of(array_view<const std::int64_t> numbers, std::int64_t classes);

/// Both of the above.
partition partition_by_class(array_view<const std::int64_t> labels);

/// For each sorted position, its class.
std::vector<std::int64_t> class_of_position(const partition& p);

}  // namespace zoorank
