#include "partition.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

namespace zoorank {

class_numbers number_classes(array_view<const std::int64_t> labels) {
    std::vector<std::int64_t> values(labels.data, labels.data + labels.size);
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    class_numbers result{std::vector<std::int64_t>(static_cast<std::size_t>(labels.size)),
                         static_cast<std::int64_t>(values.size())};
    if (result.classes < 2 || result.classes > labels.size - 1)
        throw std::invalid_argument("silhouettes need 2 to n_samples - 1 classes, got " +
                                    std::to_string(result.classes) + (result.classes == 1 ? " class" : " classes") +
                                    " in " + std::to_string(labels.size) + (labels.size == 1 ? " sample" : " samples"));
    // Unsigned: labels may lie as far apart as their type allows.
    const bool compact = static_cast<std::uint64_t>(values.back()) - static_cast<std::uint64_t>(values.front()) ==
                         static_cast<std::uint64_t>(result.classes - 1);
    std::transform(labels.data, labels.data + labels.size, result.of_row.begin(), [&](std::int64_t label) {
        return compact ? label - values.front()
                       : std::lower_bound(values.begin(), values.end(), label) - values.begin();
    });
    return result;
}

partition partition_of(array_view<const std::int64_t> numbers, std::int64_t classes) {
    partition p;
    p.begin.assign(static_cast<std::size_t>(classes) + 1, 0);
    for (std::int64_t row = 0; row < numbers.size; ++row) ++p.begin[static_cast<std::size_t>(numbers[row]) + 1];
    std::partial_sum(p.begin.begin(), p.begin.end(), p.begin.begin());
    p.order.resize(static_cast<std::size_t>(numbers.size));
    std::vector<std::int64_t> next(p.begin.begin(), p.begin.end() - 1);
    for (std::int64_t row = 0; row < numbers.size; ++row)
        p.order[static_cast<std::size_t>(next[static_cast<std::size_t>(numbers[row])]++)] = row;
    return p;
}

partition partition_by_class(array_view<const std::int64_t> labels) {
    const class_numbers numbers = number_classes(labels);
    return partition_of(numbers.of_row, numbers.classes);
}

std::vector<std::int64_t> class_of_position(const partition& p) {
    std::vector<std::int64_t> classes(p.order.size());
    for (std::int64_t c = 0; c < p.classes(); ++c)
        std::fill(classes.begin() + p.begin[static_cast<std::size_t>(c)],
                  classes.begin() + p.begin[static_cast<std::size_t>(c) + 1], c);
    return classes;
}

}  // namespace zoorank
