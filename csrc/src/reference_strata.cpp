#include "reference_strata.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

namespace zoorank {
namespace {

constexpr std::int64_t least_references = 3;

void check_stratum(std::size_t number, std::int64_t drawn, std::int64_t size, std::int64_t left) {
    if (drawn < std::min(least_references, size) || drawn > size || drawn > left || drawn < 1)
        throw std::invalid_argument("stratum " + std::to_string(number) + " has " + std::to_string(drawn) +
                                    " references; allowed are all of its " + std::to_string(size) +
                                    " rows or at least " + std::to_string(least_references));
}

}  // namespace

reference_strata::reference_strata(const class_numbers& numbers, const std::vector<std::int64_t>& class_sizes,
                                   array_view<const std::int64_t> indices, array_view<const std::int64_t> drawn,
                                   array_view<const std::int64_t> sizes)
    : begin(class_sizes.size(), 0), count(class_sizes.size(), 0), first_stratum(class_sizes.size() + 1, 0) {
    if (drawn.size != sizes.size)
        throw std::invalid_argument("references of " + std::to_string(drawn.size) + " strata and sizes of " +
                                    std::to_string(sizes.size));
    find_classes(numbers, indices);
    std::vector<std::int64_t> rows(class_sizes.size(), 0);  // of the strata of each class
    std::vector<std::size_t> classes;                       // of strata, and the strata as they came
    std::vector<stratum> came;
    std::int64_t at = 0;
    for (std::int64_t h = 0; h < drawn.size; ++h) {
        check_stratum(static_cast<std::size_t>(h), drawn[h], sizes[h], indices.size - at);
        const auto c = static_cast<std::size_t>(numbers.of_row[static_cast<std::size_t>(indices[at])]);
        came.push_back({at - begin[c], drawn[h], sizes[h]});
        if (came.back().first + drawn[h] > count[c])
            throw std::invalid_argument("stratum " + std::to_string(h) + " has references of two classes");
        ++first_stratum[c + 1];
        classes.push_back(c);
        rows[c] += sizes[h];
        at += drawn[h];
    }
    for (std::size_t c = 0; c < rows.size(); ++c)
        if (rows[c] != class_sizes[c])
            throw std::invalid_argument("class number " + std::to_string(c) + " has " + std::to_string(class_sizes[c]) +
                                        " rows and its strata have " + std::to_string(rows[c]));
    std::partial_sum(first_stratum.begin(), first_stratum.end(), first_stratum.begin());
    std::vector<std::int64_t> next(first_stratum.begin(), first_stratum.end() - 1);
    strata.resize(came.size());
    for (std::size_t h = 0; h < came.size(); ++h) strata[static_cast<std::size_t>(next[classes[h]]++)] = came[h];
}

void reference_strata::find_classes(const class_numbers& numbers, array_view<const std::int64_t> indices) {
    for (std::int64_t i = 0; i < indices.size; ++i) {
        const std::int64_t c = numbers.of_row[static_cast<std::size_t>(indices[i])];
        const auto at = static_cast<std::size_t>(c);
        if (count[at] == 0) begin[at] = i;
        if (begin[at] + count[at] != i)
            throw std::invalid_argument("references of class number " + std::to_string(c) +
                                        " do not lie side by side: " + std::to_string(i) + " is another one");
        ++count[at];
    }
}

}  // namespace zoorank
