#include "units.hpp"

#include <algorithm>

namespace zoorank {
namespace {

// A unit of several classes keeps a sum for each (row, class) of a pair of units.
constexpr std::int64_t most_classes_together = 64;

std::int64_t begin_of(const partition& p, std::int64_t c) { return p.begin[static_cast<std::size_t>(c)]; }

}  // namespace

unit_list make_units(const partition& p, std::int64_t panel, std::int64_t block_rows) {
    unit_list list;
    for (std::int64_t c = 0; c < p.classes(); ++c) {
        const bool joins = !list.units.empty() && list.units.back().rows + p.size(c) <= 2 * block_rows &&
                           list.units.back().classes < most_classes_together;
        if (!joins) list.units.push_back({begin_of(p, c), 0, c, 0, 0});
        list.units.back().rows += p.size(c);
        ++list.units.back().classes;
    }
    std::stable_sort(list.units.begin(), list.units.end(),
                     [](const unit& a, const unit& b) { return a.rows > b.rows; });
    for (unit& u : list.units) {
        u.packed_row = list.padded_rows;
        list.padded_rows += (u.rows + panel - 1) / panel * panel;
    }
    return list;
}

void clip_classes(const partition& p, const unit& u, std::int64_t begin, std::int64_t count, clipped_classes& out) {
    const std::int64_t first = u.first_row + begin, last = first + count;
    const auto classes_begin = p.begin.begin() + u.first_class;
    std::int64_t c =
        u.first_class + (std::upper_bound(classes_begin, classes_begin + u.classes, first) - classes_begin) - 1;
    out.first_class = c - u.first_class;
    out.segments.clear();
    for (; c < u.first_class + u.classes && begin_of(p, c) < last; ++c)
        out.segments.push_back({static_cast<std::int32_t>(std::max(begin_of(p, c), first) - first),
                                static_cast<std::int32_t>(std::min(begin_of(p, c + 1), last) - first)});
}

}  // namespace zoorank
