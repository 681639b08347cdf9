#pragma once
#include <cstdint>

#include "aligned_buffer.hpp"
#include "cpu/kernels.hpp"

namespace zoorank {

/// Rows in panels, ready to be one side of a block, with the way back to where they came from.
template <class T>
class packed_rows {
public:
    packed_rows() = default;
    packed_rows(const cpu::kernel_set<T>& kernels, std::int64_t capacity, std::int64_t depth)
        : kernels_(&kernels),
          depth_(depth),
          row_(kernels.packed_row(depth)),
          packed_((capacity + kernels.panel - 1) / kernels.panel * kernels.panel * row_),
          norms_(capacity + kernels.panel) {}

    bool empty() const noexcept { return packed_.data() == nullptr; }

    /// Packs rows x[order[0]], ..., x[order[rows - 1]] (order null: the first ones), scaled and less `centre` (null:
    /// none).
    void pack(const T* x, std::int64_t stride, const std::int64_t* order, std::int64_t rows, T scale, const T* centre) {
        lend(x, stride, order);
        pack_part(0, rows, scale, centre);
    }

    /// The same in parts, on several threads: first where the rows are, then each part, which begins a panel.
    void lend(const T* x, std::int64_t stride, const std::int64_t* order) {
        x_ = x;
        stride_ = stride;
        order_ = order;
    }
    void pack_part(std::int64_t begin, std::int64_t rows, T scale, const T* centre) {
        kernels_->pack({order_ ? x_ : x_ + begin * stride_, stride_, order_ ? order_ + begin : nullptr, rows, depth_,
                        scale, centre, packed_.data() + begin * row_, norms_.data() + begin});
    }

    /// Rows [begin, begin + count); begin is a multiple of the panel, count at most a block.
    cpu::operand<T> block(std::int64_t begin, std::int64_t count) const {
        return {packed_.data() + begin * row_,      norms_.data() + begin,
                order_ ? x_ : x_ + begin * stride_, stride_,
                order_ ? order_ + begin : nullptr,  count};
    }

private:
    const cpu::kernel_set<T>* kernels_ = nullptr;
    std::int64_t depth_ = 0, row_ = 0;  // features of a row; elements that it takes when packed
    aligned_buffer<T> packed_, norms_;
    const T* x_ = nullptr;
    std::int64_t stride_ = 0;
    const std::int64_t* order_ = nullptr;
};

}  // namespace zoorank
