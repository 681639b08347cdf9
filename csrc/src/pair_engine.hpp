#pragma once
// Mean distances between rows and classes, pair by pair, over one packed copy of the rows.
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>
#include <zoorank/metric.hpp>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

#include "aligned_buffer.hpp"
#include "cpu/kernels.hpp"
#include "packed_rows.hpp"
#include "partition.hpp"
#include "schedule.hpp"
#include "thread_pool.hpp"

namespace zoorank {

template <class T>
class pair_engine {
public:
    /// Checks and packs the rows; what is handed over stays where it is.
    pair_engine(matrix_view<T> x, const partition& p, metric how, const cpu::kernel_set<T>& kernels, int threads,
                const options& opt);

    /// What one worker writes to while it computes.
    struct workspace {
        aligned_buffer<T> products{cpu::scratch_size};
        std::vector<double> row_sums, col_sums;
        clipped_classes rows, cols;
        packed_rows<T> own[2];  // blocks of a tight class around its own centre
    };

    /// Every pair of rows once.
    void add_all(const options& opt);

    /// Those of one unit: the mean distance of each row to its own class, and to the few others of a unit of small
    /// ones.
    void add_within_units(const options& opt);

    /// How many pairs of rows add_within_units() looks at.
    double pairs_within_units() const;

    /// The mean distances of at most block_rows() rows, which are packed, to a class that is not theirs.
    void mean_distances(const cpu::operand<T>& rows, std::int64_t c, double* means, workspace& space) const;

    /// Takes in the mean distance of the row at a sorted position to a class that is not its own.
    void take(std::int64_t position, double mean) {
        double& nearest = nearest_[static_cast<std::size_t>(position)];
        nearest = mean < nearest ? mean : nearest;
    }

    /// The least of those of a row, so far.
    double nearest(std::int64_t position) const { return nearest_[static_cast<std::size_t>(position)]; }

    /// Writes s of each row. Returns the positions of rows whose distances have vanished.
    std::vector<std::int64_t> write(array_view<double> samples) const;

    /// Whether pairs are computed on a matrix unit.
    bool on_tiles() const { return kernels_.multiply == nullptr; }

    std::int64_t block_rows() const { return block_rows_; }
    T scale() const { return scale_; }
    const std::vector<T>& centre() const { return centre_; }
    packed_rows<T> room_for_rows() const { return {kernels_, block_rows_, x_.cols}; }

private:
    const unit& unit_at(std::int64_t u) const { return list_.units[static_cast<std::size_t>(u)]; }
    const std::int64_t* order_of(const unit& u, std::int64_t begin) const {
        return partition_.order.data() + u.first_row + begin;
    }
    void pack_all();
    cpu::operand<T> packed_block(const unit& u, std::int64_t begin, std::int64_t count) const;
    cpu::operand<T> own_block(const unit& u, const std::vector<T>& centre, std::int64_t begin, std::int64_t count,
                              int side, workspace& space) const;
    void run(const std::vector<std::int64_t>* tasks, double pairs, const options& opt);
    void compute(const pair_task& task, workspace& space, int worker, progress_meter& meter);
    void fold(std::int64_t u, std::int64_t begin, std::int64_t count, const unit& other, const double* sums,
              std::int64_t stride);

    const matrix_view<T> x_;
    const partition& partition_;
    const cpu::kernel_set<T>& kernels_;
    const std::int64_t block_rows_;
    void (*const sum_)(const cpu::sums_args<T>&);
    const int threads_;
    const options& options_;
    const T scale_;
    const std::vector<T> centre_;  // empty for magnitudes: nothing cancels there, and centring would round
    const unit_list list_;
    const pair_schedule schedule_;
    std::vector<double> own_, nearest_;          // by sorted position
    const std::unique_ptr<std::mutex[]> locks_;  // one a unit, over its rows of nearest_
    const std::int64_t packed_row_;              // elements of one
    aligned_buffer<T> packed_, norms_;
    std::vector<std::vector<T>> own_centres_;  // of tight units of one class; others empty
    std::vector<std::int64_t> unit_of_class_;
    stripe_sums stripes_;
};

}  // namespace zoorank
