#pragma once
// Which references each class has, and the strata that they were drawn from. See <zoorank/estimate.hpp>.
#include <cstdint>
#include <vector>
#include <zoorank/views.hpp>

#include "control_variates.hpp"
#include "partition.hpp"

namespace zoorank {

struct reference_strata {
    /// `indices` are rows, those of a class side by side; `drawn` of them and `sizes` are by stratum, in the same
    /// order. Throws std::invalid_argument where they do not fit together or a class is not made of strata.
    reference_strata(const class_numbers& numbers, const std::vector<std::int64_t>& class_sizes,
                     array_view<const std::int64_t> indices, array_view<const std::int64_t> drawn,
                     array_view<const std::int64_t> sizes);

    std::vector<std::int64_t> begin, count;   ///< of the references of each class
    std::vector<std::int64_t> first_stratum;  ///< of each class in `strata`, and their number
    std::vector<stratum> strata;              ///< by class; within a class in the order in which they came

private:
    void find_classes(const class_numbers& numbers, array_view<const std::int64_t> indices);
};

}  // namespace zoorank
