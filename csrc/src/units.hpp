#pragma once
// Units of work: one class, or several small ones side by side. Pairs of units are what the schedule hands out.
#include <cstdint>
#include <vector>

#include "cpu/kernels.hpp"
#include "partition.hpp"

namespace zoorank {

struct unit {
    std::int64_t first_row, rows;  ///< sorted positions
    std::int64_t first_class, classes;
    std::int64_t packed_row;  ///< where its panels begin, in rows of padded storage
};

struct unit_list {
    std::vector<unit> units;       ///< largest first, so that the end of the schedule is fine-grained
    std::int64_t padded_rows = 0;  ///< of all units, each filled up to whole panels
};

/// Units of panels of `panel` rows, to be handed out in blocks of `block_rows`.
unit_list make_units(const partition& p, std::int64_t panel, std::int64_t block_rows);

/// The classes of `u` that positions [begin, begin + count) of it meet, as segments of those positions.
struct clipped_classes {
    std::int64_t first_class = 0;  ///< counted within the unit
    std::vector<cpu::segment> segments;
};
void clip_classes(const partition& p, const unit& u, std::int64_t begin, std::int64_t count, clipped_classes& out);

}  // namespace zoorank
