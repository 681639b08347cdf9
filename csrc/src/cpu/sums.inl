// Sums of the distances of a block by class, without writing the distances anywhere: for each row over the columns of
// a segment, for each column over the rows of a segment. Within a block sums are of type T; across blocks, double.

// The pairs of a block whose products lie in its scratch.
template <class T, class Metric>
class block_pairs {
protected:
    using vec = typename simd<T>::vec;
    static constexpr std::int64_t width = simd<T>::width;

    explicit block_pairs(const sums_args<T>& args) : args_(args), block_(args.block) {}

    struct range {
        std::int64_t begin, end;
    };

    // The columns of segment s within [first, last).
    range columns(std::int64_t s, std::int64_t first, std::int64_t last) const {
        const segment& cols = args_.col_segments[s];
        return {cols.begin > first ? cols.begin : first, cols.end < last ? cols.end : last};
    }

    const T* products(std::int64_t row) const { return block_.scratch + row * scratch_stride; }

    vec norms(std::int64_t row, std::int64_t col) const {
        if constexpr (Metric::from_products)
            return block_.a.norms[row] + load(block_.b.norms + col);
        else
            return vec{};
    }

    // What is left of t above the share that cancellation may take; negative: recompute the pair.
    vec margin(vec t, vec norms) const { return t - Metric::cancellation_share(block_.depth) * norms; }

    // Replaces every pair of the strip that cancellation spoilt, in the sums it went into, or adds it where it was left
    // out of them.
    template <bool Added = true>
    void repair(std::int64_t row, std::int64_t end) {
        std::int64_t row_segment = 0;
        for (std::int64_t r = row; r < end; ++r) {
            while (args_.row_segments[row_segment].end <= r) ++row_segment;
            for (std::int64_t s = 0; s < args_.col_segment_count; ++s) {
                const range cols = columns(s, args_.diagonal ? r + 1 : 0, block_.b.count);
                for (std::int64_t c = cols.begin; c < cols.end; c += width) {
                    const vec both = norms(r, c);
                    const vec t = completed<T, Metric>(load(products(r) + c), both);
                    const vec spoilt = margin(t, both);
                    if (!simd<T>::any_negative(spoilt)) continue;
                    const std::int64_t count = cols.end - c < width ? cols.end - c : width;
                    for (std::int64_t lane = 0; lane < count; ++lane) {
                        if (!(spoilt[lane] < 0)) continue;
                        const T exact =
                            direct_squared_distance(block_.a, r, block_.b, c + lane, block_.depth, block_.scale);
                        double change = static_cast<double>(scalar_value<Metric>(exact));
                        if constexpr (Added) change -= static_cast<double>(scalar_value<Metric>(T(t[lane])));
                        args_.row_sums[s * args_.row_sums_stride + r] += change;
                        args_.col_sums[row_segment * args_.col_sums_stride + c + lane] += change;
                    }
                }
            }
        }
    }

    const sums_args<T>& args_;
    const block_args<T>& block_;
};

template <class T, class Metric>
class block_sums : block_pairs<T, Metric> {
    using pairs = block_pairs<T, Metric>;
    using pairs::args_, pairs::block_, pairs::width;
    using typename pairs::range;
    using typename pairs::vec;
    static constexpr std::int64_t tile_rows = simd<T>::tile_rows;

public:
    explicit block_sums(const sums_args<T>& args)
        : pairs(args), col_sums_(args.block.scratch + block_side * scratch_stride) {
        clear_columns();
    }

    // Rows [row, row + tile_rows), whose products are complete.
    void add_strip(std::int64_t row) {
        const std::int64_t end = row + tile_rows < block_.a.count ? row + tile_rows : block_.a.count;
        lowest_margin_ = vec{};
        for (std::int64_t r = row; r < end;) {
            while (args_.row_segments[row_segment_].end <= r) next_row_segment();
            const std::int64_t segment_end = args_.row_segments[row_segment_].end;
            const std::int64_t run_end = end < segment_end ? end : segment_end;
            for (; r + 4 <= run_end; r += 4) add_rows<4>(r);
            for (; r < run_end; ++r) add_rows<1>(r);
        }
        if constexpr (Metric::from_products)
            if (simd<T>::any_negative(lowest_margin_)) this->repair(row, end);
    }

    void finish() { flush_columns(); }

private:
    // R rows of one class against the columns that count: all, or on the diagonal those behind each row.
    template <int R>
    void add_rows(std::int64_t row) {
        const std::int64_t count = block_.b.count, first = args_.diagonal ? row + 1 : 0;
        if (first >= count) return;
        while (args_.col_segments[first_segment_].end <= first) ++first_segment_;
        const segment* part = args_.col_segments + first_segment_;
        vec sums[R] = {};
        for (std::int64_t c = first / width * width; c < count;) {
            if (!args_.diagonal || c >= row + R)
                for (; c + width <= part->end; c += width)
                    each_distance<R, false>(row, c, [&](int r, vec distance) { sums[r] += distance; });
            if (c < part->end) {
                add_shared_vector(row, c, part, sums);
                c += width;
            }
            if (c >= part->end) flush_rows(part++, row, sums);
        }
    }

    // A vector of columns of which some do not count or are of other classes; `part` is the class of the first one, and
    // becomes that of the last.
    template <int R>
    void add_shared_vector(std::int64_t row, std::int64_t col, const segment*& part, vec (&sums)[R]) {
        vec distances[R];
        const auto keep = [&](int r, vec distance) { distances[r] = distance; };
        if ((args_.diagonal && col < row + R) || col + width > block_.b.count)
            each_distance<R, true>(row, col, keep);
        else
            each_distance<R, false>(row, col, keep);
        const std::int64_t last = block_.b.count - col < width ? block_.b.count - col : width;
        for (std::int64_t begin = 0;;) {
            const std::int64_t end = part->end - col;
            const auto lanes = lanes_from<T>(begin) & ~lanes_from<T>(end);
            for (int r = 0; r < R; ++r) sums[r] += lanes ? distances[r] : vec{};
            if (end >= last) return;
            flush_rows(part++, row, sums);
            begin = end;
        }
    }

    // Calls take(r, distances) for R rows and one vector of columns, and adds to the sums of columns. Masked: distances
    // that do not count are 0.
    template <int R, bool Masked, class Take>
    void each_distance(std::int64_t row, std::int64_t col, Take take) {
        vec col_sum = load(col_sums_ + col), lowest_margin = lowest_margin_;
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
            const vec both = this->norms(row + r, col);
            const vec t = completed<T, Metric>(load(this->products(row + r) + col), both);
            vec distance = Metric::value(t), margin{};
            if constexpr (Metric::from_products) margin = this->margin(t, both);
            if constexpr (Masked) {
                const auto counted =
                    lanes_from<T>(args_.diagonal ? row + r + 1 - col : 0) & ~lanes_from<T>(block_.b.count - col);
                distance = counted ? distance : vec{};
                margin = counted ? margin : vec{};
            }
            lowest_margin = simd<T>::min(lowest_margin, margin);
            col_sum += distance;
            take(r, distance);
        }
        store(col_sums_ + col, col_sum);
        lowest_margin_ = lowest_margin;
    }

    template <int R>
    void flush_rows(const segment* part, std::int64_t row, vec (&sums)[R]) {
        double* const to = args_.row_sums + (part - args_.col_segments) * args_.row_sums_stride + row;
        if constexpr (R == 4)
            add_sums_of_four<T>(sums, to);
        else
            *to += static_cast<double>(simd<T>::sum(sums[0]));
        for (vec& sum : sums) sum = vec{};
    }

    void next_row_segment() {
        flush_columns();
        ++row_segment_;
    }

    void clear_columns() {
        for (std::int64_t c = 0; c < block_.b.count; c += width) store(col_sums_ + c, vec{});
    }

    void flush_columns() {
        double* const sums = args_.col_sums + row_segment_ * args_.col_sums_stride;
        for (std::int64_t c = 0; c < block_.b.count; ++c) sums[c] += static_cast<double>(col_sums_[c]);
        clear_columns();
    }

    T* col_sums_;                                       // of the rows of the current row segment
    std::int64_t row_segment_ = 0, first_segment_ = 0;  // of the rows; of the first column that counts for them
    vec lowest_margin_{};
};

template <class T, class Metric>
void sum_block(const sums_args<T>& args) {
    block_sums<T, Metric> sums(args);
    product_block<T, Metric>(args.block, args.diagonal, [&](std::int64_t row) { sums.add_strip(row); });
    sums.finish();
}
