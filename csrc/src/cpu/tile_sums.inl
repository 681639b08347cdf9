// What sums.inl does, for tiles of 32 x 32 products and in small shares: rows of the tile before are turned into
// distances and added up while the matrix unit works on the next one.

template <class Metric>
class tile_sums : block_pairs<float, Metric> {
    using pairs = block_pairs<float, Metric>;
    using pairs::args_, pairs::block_, pairs::width;
    using typename pairs::vec;
    static constexpr int vectors = 32 / width;
    static constexpr std::int64_t side = 32;

public:
    explicit tile_sums(const sums_args<float>& args) : pairs(args) {}

    // The share of the last finished tile that belongs to one of `steps` steps.
    void work(std::int64_t step, std::int64_t steps) {
        const std::int64_t end = rows_ * (step + 1) / steps;
        while (next_row_ < end) {
            enter_row(row_ + next_row_);
            const std::int64_t segment_end = args_.row_segments[row_segment_].end - row_;
            const std::int64_t run_end = segment_end < end ? segment_end : end;
            for (; next_row_ + 4 <= run_end; next_row_ += 4) add_rows<4>(next_row_);
            for (; next_row_ < run_end; ++next_row_) add_rows<1>(next_row_);
        }
        if (whole_) return;
        for (; next_group_ < rows_ && (next_group_ + width <= end || end == rows_); next_group_ += width)
            add_kept(next_group_);
    }

    // The products of the tile at (row, col) are there. Tiles come along strips.
    void complete(std::int64_t row, std::int64_t col) {
        flush_columns();
        if (row != row_) {
            end_strip();
            begin_strip(row, col);
        }
        begin_tile(col);
    }

    void finish() {
        work(0, 1);
        flush_columns();
        end_strip();
    }

private:
    void begin_strip(std::int64_t row, std::int64_t col) {
        row_ = row;
        rows_ = block_.a.count - row < side ? block_.a.count - row : side;
        while (args_.row_segments[first_row_segment_].end <= row) ++first_row_segment_;
        first_part_ = 0;
        while (args_.col_segments[first_part_].end <= col) ++first_part_;
    }

    void begin_tile(std::int64_t col) {
        col_ = col;
        cols_ = block_.b.count - col < side ? block_.b.count - col : side;
        while (args_.col_segments[first_part_].end <= col) ++first_part_;
        masked_ = cols_ < side || (args_.diagonal && row_ == col);
        whole_ = !masked_ && args_.col_segments[first_part_].end >= col + side;
        if (whole_ && first_part_ != part_of_lanes_) {
            flush_lanes();
            part_of_lanes_ = first_part_;
        }
        row_segment_ = first_row_segment_;
        next_row_ = next_group_ = 0;
    }

    void enter_row(std::int64_t row) {
        while (args_.row_segments[row_segment_].end <= row) {
            flush_columns();
            ++row_segment_;
        }
    }

    // R rows of one class. Where all columns are of one class too, lanes are added up over the tiles of a strip;
    // elsewhere distances are kept, since it takes other vectors to add them up by class of columns.
    template <int R>
    void add_rows(std::int64_t row) {
        if (!whole_) return masked_ ? keep_rows<R, true>(row) : keep_rows<R, false>(row);
        vec sums[R];
        for (int r = 0; r < R; ++r) sums[r] = load(lanes_ + (row + r) * width);
        each_distance<R, false>(row, [&](int r, int, vec distance) { sums[r] += distance; });
        for (int r = 0; r < R; ++r) store(lanes_ + (row + r) * width, sums[r]);
    }

    template <int R, bool Masked>
    void keep_rows(std::int64_t row) {
        each_distance<R, Masked>(
            row, [&](int r, int v, vec distance) { store(kept_ + (row + r) * side + v * width, distance); });
    }

    // Calls take(r, v, distances) for R rows and each vector of columns, and adds to the sums of columns. Masked: what
    // lies past the last column, or not above the diagonal, is 0.
    template <int R, bool Masked, class Take>
    void each_distance(std::int64_t first, Take take) {
        using lane = decltype(typename simd<float>::index{}[0] + 0);
        vec lowest_margin = lowest_margin_;
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v) {
            vec col_sum = col_sums_[v];
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                const std::int64_t row = row_ + first + r, col = col_ + v * width;
                const vec both = this->norms(row, col);
                const vec t = completed<float, Metric>(load(this->products(row) + col), both);
                vec margin = this->margin(t, both), distance = Metric::value(t);
                // A row times itself is not its length here: what is taken back from a sum would leave a rest, which
                // makes something of the ratio of two sums that are 0. So what is spoilt is left out, and added later.
                distance = margin < vec{} ? vec{} : distance;
                if constexpr (Masked) {
                    const std::int64_t begin = args_.diagonal && row_ == col_ ? first + r + 1 : 0;
                    const auto column = lanes<float>() + static_cast<lane>(v * width);
                    const auto counted = (column >= static_cast<lane>(begin)) & (column < static_cast<lane>(cols_));
                    margin = counted ? margin : vec{};
                    distance = counted ? distance : vec{};
                }
                lowest_margin = simd<float>::min(lowest_margin, margin);
                col_sum += distance;
                take(r, v, distance);
            }
            col_sums_[v] = col_sum;
        }
        lowest_margin_ = lowest_margin;
    }

    // As many rows as a vector has lanes, from what was kept of them: transposed, each column is a vector, and sums
    // over columns of a class are too.
    void add_kept(std::int64_t row) {
        std::int64_t part = first_part_, part_end = args_.col_segments[part].end - col_;
        vec sum{};
        for (std::int64_t begin = 0; begin < cols_; begin += width) {
            vec columns[width];
#pragma GCC unroll 16
            for (int r = 0; r < width; ++r) columns[r] = load(kept_ + (row + r) * side + begin);
            transpose<float>(columns);
            const std::int64_t end = begin + width < cols_ ? begin + width : cols_;
            for (std::int64_t c = begin; c < end; ++c) {
                if (c == part_end) {
                    add_to_rows(part, row, sum);
                    sum = vec{};
                    part_end = args_.col_segments[++part].end - col_;
                }
                sum += columns[c - begin];
            }
        }
        add_to_rows(part, row, sum);
    }

    void flush_lanes() {
        if (part_of_lanes_ < 0) return;
        for (std::int64_t row = 0; row < rows_; row += width) {
            vec columns[width], sum{};
#pragma GCC unroll 16
            for (int r = 0; r < width; ++r) {
                columns[r] = load(lanes_ + (row + r) * width);
                store(lanes_ + (row + r) * width, vec{});
            }
            transpose<float>(columns);
#pragma GCC unroll 16
            for (int c = 0; c < width; ++c) sum += columns[c];
            add_to_rows(part_of_lanes_, row, sum);
        }
        part_of_lanes_ = -1;
    }

    // Lane i belongs to row `row` + i.
    void add_to_rows(std::int64_t part, std::int64_t row, vec sums) {
        float lane_sums[width];
        store(lane_sums, sums);
        double* const to = args_.row_sums + part * args_.row_sums_stride + row_ + row;
        if (row + width <= rows_)
            for (int i = 0; i < width; ++i) to[i] += static_cast<double>(lane_sums[i]);
        else
            for (std::int64_t i = 0; i < rows_ - row; ++i) to[i] += static_cast<double>(lane_sums[i]);
    }

    void flush_columns() {
        float sums[side];
        for (int v = 0; v < vectors; ++v) {
            store(sums + v * width, col_sums_[v]);
            col_sums_[v] = vec{};
        }
        double* const to = args_.col_sums + row_segment_ * args_.col_sums_stride + col_;
        for (std::int64_t c = 0; c < cols_; ++c) to[c] += static_cast<double>(sums[c]);
    }

    void end_strip() {
        flush_lanes();
        if (simd<float>::any_negative(lowest_margin_)) this->template repair<false>(row_, row_ + rows_);
        lowest_margin_ = vec{};
    }

    // The last finished tile; none yet.
    std::int64_t row_ = -1, col_ = 0, rows_ = 0, cols_ = 0;
    std::int64_t next_row_ = 0, next_group_ = 0;            // to be turned into distances, to be added up
    std::int64_t first_row_segment_ = 0, row_segment_ = 0;  // of the strip, of the next row
    std::int64_t first_part_ = 0, part_of_lanes_ = -1;      // class of its first column, of lanes_ if there are any
    bool whole_ = false, masked_ = false;                   // all columns of one class; some do not count
    vec lowest_margin_{};
    vec col_sums_[vectors]{};  // of the rows of row_segment_ in the tile
    alignas(64) float lanes_[side * width] = {};
    alignas(64) float kept_[side * side];
};
