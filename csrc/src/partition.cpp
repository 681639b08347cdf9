#include "partition.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

namespace zoorank {
namespace {

// Class number of each row.
std::vector<std::int64_t> numbered(array_view<const std::int64_t> labels, std::int64_t& classes) {
    std::vector<std::int64_t> values(labels.data, labels.data + labels.size);
    std::sort(values.begin(), values.end());
    values.erase(std::unique(values.begin(), values.end()), values.end());
    classes = static_cast<std::int64_t>(values.size());
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(labels.size));
    const bool compact = classes > 0 && values.back() - values.front() == classes - 1;
    std::transform(labels.data, labels.data + labels.size, numbers.begin(), [&](std::int64_t label) {
        return compact ? label - values.front()
                       : std::lower_bound(values.begin(), values.end(), label) - values.begin();
    });
    return numbers;
}

}  // namespace

partition partition_by_class(array_view<const std::int64_t> labels) {
    std::int64_t classes = 0;
    const std::vector<std::int64_t> numbers = numbered(labels, classes);
    if (classes < 2 || classes > labels.size - 1)
        throw std::invalid_argument("silhouettes need 2 to n_samples - 1 classes, got " + std::to_string(classes) +
                                    (classes == 1 ? " class" : " classes") + " in " + std::to_string(labels.size) +
                                    (labels.size == 1 ? " sample" : " samples"));
    partition p;
    p.begin.assign(static_cast<std::size_t>(classes) + 1, 0);
    for (const std::int64_t c : numbers) ++p.begin[static_cast<std::size_t>(c) + 1];
    std::partial_sum(p.begin.begin(), p.begin.end(), p.begin.begin());
    p.order.resize(numbers.size());
    std::vector<std::int64_t> next(p.begin.begin(), p.begin.end() - 1);
    for (std::size_t row = 0; row < numbers.size(); ++row)
        p.order[static_cast<std::size_t>(next[static_cast<std::size_t>(numbers[row])]++)] =
            static_cast<std::int64_t>(row);
    return p;
}

std::vector<std::int64_t> class_of_position(const partition& p) {
    std::vector<std::int64_t> classes(p.order.size());
    for (std::int64_t c = 0; c < p.classes(); ++c)
        std::fill(classes.begin() + p.begin[static_cast<std::size_t>(c)],
                  classes.begin() + p.begin[static_cast<std::size_t>(c) + 1], c);
    return classes;
}

}  // namespace zoorank
