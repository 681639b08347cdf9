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
        for (const std::int64_t end = rows_ * (step + 1) / steps; next_row_ < end; ++next_row_)
            whole_ ? add_row(next_row_) : add_row_in_parts(next_row_);
    }

    // The products of the tile at (row, col) are there. Tiles come along strips.
    void complete(std::int64_t row, std::int64_t col) {
        end_tile();
        if (row != row_) end_strip();
        begin_tile(row, col);
    }

    void finish() {
        work(0, 1);
        end_tile();
        end_strip();
    }

private:
    void begin_tile(std::int64_t row, std::int64_t col) {
        const bool on_diagonal = args_.diagonal && row == col;
        if (row != row_) {
            row_ = row;
            while (args_.row_segments[first_row_segment_].end <= row) ++first_row_segment_;
            first_part_ = 0;
            while (args_.col_segments[first_part_].end <= col) ++first_part_;
        }
        row_segment_ = first_row_segment_;
        col_ = col;
        rows_ = block_.a.count - row < side ? block_.a.count - row : side;
        cols_ = block_.b.count - col < side ? block_.b.count - col : side;
        last_part_ = first_part_;
        while (args_.col_segments[last_part_].end < col + cols_) ++last_part_;
        whole_ = first_part_ == last_part_ && cols_ == side && !on_diagonal;
        next_row_ = 0;
    }

    vec distances(std::int64_t row, int v, vec& margin) const {
        const std::int64_t col = col_ + v * width;
        const vec both = this->norms(row, col);
        const vec t = completed<float, Metric>(load(this->products(row) + col), both);
        margin = this->margin(t, both);
        return Metric::value(t);
    }

    // Row r of a tile whose columns are all of one class.
    void add_row(std::int64_t r) {
        const std::int64_t row = row_ + r;
        enter_row(row);
        vec sum = load(row_lanes_[0] + r * width);
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v) {
            vec margin;
            const vec distance = distances(row, v, margin);
            lowest_margin_ = simd<float>::min(lowest_margin_, margin);
            sum += distance;
            col_sums_[v] += distance;
        }
        store(row_lanes_[0] + r * width, sum);
    }

    // Row r of a tile that several classes share, that is cut off by the end of the block, or that lies on the
    // diagonal.
    void add_row_in_parts(std::int64_t r) {
        using lane = decltype(typename simd<float>::index{}[0] + 0);
        const std::int64_t row = row_ + r;
        enter_row(row);
        const std::int64_t first = args_.diagonal && row_ == col_ ? r + 1 : 0;
        vec distance[vectors];
        for (int v = 0; v < vectors; ++v) {
            const auto column = lanes<float>() + static_cast<lane>(v * width);
            const auto counted = (column >= static_cast<lane>(first)) & (column < static_cast<lane>(cols_));
            vec margin;
            const vec all = distances(row, v, margin);
            distance[v] = counted ? all : vec{};
            lowest_margin_ = simd<float>::min(lowest_margin_, counted ? margin : vec{});
            col_sums_[v] += distance[v];
        }
        for (std::int64_t s = first_part_; s <= last_part_; ++s) {
            const auto part = this->columns(s, col_, col_ + cols_);
            vec sum{};
            for (std::int64_t v = (part.begin - col_) / width; v * width < part.end - col_; ++v) {
                const auto column = lanes<float>() + static_cast<lane>(v * width);
                sum += (column >= static_cast<lane>(part.begin - col_)) & (column < static_cast<lane>(part.end - col_))
                           ? distance[v]
                           : vec{};
            }
            // The first class may have begun in an earlier tile, the last one may go on in the next.
            if (s == first_part_ || s == last_part_) {
                float* const sums = row_lanes_[s == first_part_ ? 0 : 1] + r * width;
                store(sums, load(sums) + sum);
            } else {
                add_to_row(s, row, simd<float>::sum(sum));
            }
        }
    }

    void enter_row(std::int64_t row) {
        while (args_.row_segments[row_segment_].end <= row) {
            flush_columns();
            ++row_segment_;
        }
    }

    void end_tile() {
        if (rows_ == 0) return;
        flush_columns();
        if (last_part_ != first_part_) {
            flush_rows(0, first_part_);
            for (std::int64_t i = 0; i < side * width; ++i) row_lanes_[0][i] = row_lanes_[1][i];
            for (std::int64_t i = 0; i < side * width; ++i) row_lanes_[1][i] = 0;
        }
        first_part_ = last_part_;
        if (args_.col_segments[last_part_].end <= col_ + cols_) {
            flush_rows(0, last_part_);
            ++first_part_;
        }
    }

    void end_strip() {
        if (simd<float>::any_negative(lowest_margin_)) this->repair(row_, row_ + rows_);
        lowest_margin_ = vec{};
    }

    void add_to_row(std::int64_t s, std::int64_t row, float sum) {
        args_.row_sums[s * args_.row_sums_stride + row] += static_cast<double>(sum);
    }

    void flush_rows(int which, std::int64_t s) {
        for (std::int64_t r = 0; r < rows_; ++r) {
            float* const sums = row_lanes_[which] + r * width;
            add_to_row(s, row_ + r, simd<float>::sum(load(sums)));
            store(sums, vec{});
        }
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

    // The last finished tile; none yet.
    std::int64_t row_ = -1, col_ = 0, rows_ = 0, cols_ = 0;
    std::int64_t next_row_ = 0;
    std::int64_t first_row_segment_ = 0, row_segment_ = 0;  // of the strip, of the next row
    std::int64_t first_part_ = 0, last_part_ = 0;           // classes of its columns
    bool whole_ = false;
    vec lowest_margin_{};
    vec col_sums_[vectors]{};                // of the rows of row_segment_ in the tile
    float row_lanes_[2][side * width] = {};  // of each row to the first class of columns and to the last one
};
