// Exact Euclidean silhouettes without all pairs; docs/pruning.md has the bounds and their proofs. For each row:
//   1. the own class, and the few others of its unit, pair by pair as ever;
//   2. the class of the least mean squared distance, pair by pair: no class that is farther can be the nearest one;
//   3. bounds from class means and a few directions for all classes;
//   4. for those that are left, bounds from all directions, then distances in the directions alone, with a bound on
//      what lies in no direction: within a block of rows for a class that is left for many of them, else for rows
//      gathered from everywhere;
//   5. what none of these could rule out, pair by pair.
// Rows come in parts, and what is left of a part is a bit for each row and class. Which pairs are computed, and side by
// side with which, depends on the data alone.
#include <algorithm>
#include <memory>
#include <mutex>
#include <numeric>

#include "class_bounds.hpp"
#include "class_screen.hpp"
#include "methods.hpp"
#include "packed_rows.hpp"
#include "pair_engine.hpp"
#include "pruning.hpp"
#include "pruning_choice.hpp"

namespace zoorank {
namespace {

// Words of a bit for each row of a block.
constexpr std::int64_t words = 4;

// Bits of a part; more only as the input is larger.
constexpr std::int64_t least_bits = 1 << 24;

// Tasks of a level, at least: so many threads have something to do.
constexpr std::int64_t least_tasks = 64;

// Rows of a block that a class is left for, to be screened there: for fewer, what is known of the class is not worth
// reading.
constexpr std::int64_t worth_a_block = 12;

// The share of progress that the sample takes.
constexpr double sampling = 0.02;

template <class T>
class pruned_engine {
public:
    pruned_engine(matrix_view<T> x, const partition& p, const cpu::kernel_set<T>& kernels, int threads,
                  const options& opt)
        : x_(x),
          partition_(p),
          threads_(threads),
          engine_(x, p, metric::euclidean, kernels, threads, opt),
          frame_(frame_of_bounds(engine_.scale(), engine_.centre())),
          levels_(levels_for(x.rows, x.cols, p.classes())),
          class_at_(class_of_position(p)) {}

    // Returns the positions of rows whose distances have vanished.
    std::vector<std::int64_t> run(array_view<double> samples, const options& opt) {
        const bool needed = opt.pairs == pair_selection::needed;
        const pruning_choice<T> choice(x_, partition_, engine_, frame_, levels_, class_at_);
        double begun = 0;
        if (needed || choice.promises()) {
            class_bounds<T> bounds(x_, partition_, frame_, levels_.all, levels_.few);
            if (needed || choice.pays(bounds, threads_, phase(opt, 0, sampling))) {
                add_needed(bounds, phase(opt, sampling, 1));
                return engine_.write(samples);
            }
            begun = sampling;
        }
        engine_.add_all(phase(opt, begun, 1));
        pairs_ = static_cast<double>(x_.rows) * static_cast<double>(x_.rows - 1) / 2;
        return engine_.write(samples);
    }

    double pairs() const { return pairs_; }

private:
    static constexpr std::int64_t together = class_screen<T>::together;
    static_assert(together <= 64 * words);

    struct workspace {
        typename class_screen<T>::workspace screening;
        typename pair_engine<T>::workspace pairs;
        packed_rows<T> rows;
        std::vector<std::int64_t> positions, originals;
        std::vector<double> means;
    };

    template <class Task>
    void for_each_task(std::int64_t count, std::int64_t work, const options& opt, Task task) {
        spaces_.resize(static_cast<std::size_t>(threads_));
        parallel_for(count, threads_, work, opt, [&](std::int64_t index, int worker, progress_meter& meter) {
            auto& space = spaces_[static_cast<std::size_t>(worker)];
            if (!space) space.reset(new workspace{screen_->make_workspace(), {}, engine_.room_for_rows(), {}, {}, {}});
            task(index, *space, [&](std::int64_t done) { meter.advance(done, worker); });
        });
    }

    std::int64_t class_at(std::int64_t position) const { return class_at_[static_cast<std::size_t>(position)]; }
    bool stands_alone(std::int64_t position) const { return partition_.size(class_at(position)) == 1; }

    void add_needed(class_bounds<T>& bounds, const options& opt) {
        const std::int64_t classes = partition_.classes();
        engine_.add_within_units(phase(opt, 0, 0.1));
        pairs_ = engine_.pairs_within_units();
        std::vector<std::int64_t> every_class(static_cast<std::size_t>(classes));
        std::iota(every_class.begin(), every_class.end(), 0);
        bounds.describe(every_class, threads_, phase(opt, 0.1, 0.15));
        const class_screen<T> screen(x_, partition_, frame_, bounds, levels_.few);
        screen_ = &screen;
        compare_with_likeliest(phase(opt, 0.15, 0.3));
        const std::int64_t bits = std::max<std::int64_t>(least_bits, 2 * x_.rows * x_.cols * std::int64_t{sizeof(T)});
        const std::int64_t part = std::max<std::int64_t>(1, bits / classes / together) * together;
        const double parts = static_cast<double>((x_.rows + part - 1) / part);
        for (std::int64_t begin = 0, index = 0; begin < x_.rows; begin += part, ++index) {
            const double from = 0.3 + 0.7 * static_cast<double>(index) / parts, step = 0.7 / parts;
            finish_part(begin, std::min(begin + part, x_.rows), phase(opt, from, from + step));
        }
    }

    // Every row with the class of the least mean squared distance.
    void compare_with_likeliest(const options& opt) {
        std::vector<std::int64_t> likeliest(static_cast<std::size_t>(x_.rows));
        for_each_task((x_.rows + together - 1) / together, x_.rows, phase(opt, 0, 0.4),
                      [&](std::int64_t block, workspace& space, auto advance) {
                          const std::int64_t begin = block * together, end = std::min(begin + together, x_.rows);
                          screen_->find_likeliest(begin, end, class_at_.data() + begin, likeliest.data() + begin,
                                                  space.screening);
                          advance(end - begin);
                      });
        std::vector<std::int64_t> others;
        for (std::int64_t i = 0; i < x_.rows; ++i)
            if (!stands_alone(i)) others.push_back(i);
        std::stable_sort(others.begin(), others.end(), [&](std::int64_t a, std::int64_t b) {
            return likeliest[static_cast<std::size_t>(a)] < likeliest[static_cast<std::size_t>(b)];
        });
        const auto class_of = [&](std::size_t i) { return likeliest[static_cast<std::size_t>(others[i])]; };
        std::vector<std::size_t> begins;  // of groups of one class, no larger than a block
        for (std::size_t i = 0; i < others.size(); ++i)
            if (begins.empty() || class_of(i) != class_of(begins.back()) ||
                static_cast<std::int64_t>(i - begins.back()) == engine_.block_rows())
                begins.push_back(i);
        begins.push_back(others.size());
        for_each_task(static_cast<std::int64_t>(begins.size()) - 1, x_.rows, phase(opt, 0.4, 1),
                      [&](std::int64_t index, workspace& space, auto advance) {
                          const std::size_t begin = begins[static_cast<std::size_t>(index)];
                          const std::size_t end = begins[static_cast<std::size_t>(index) + 1];
                          space.positions.assign(others.data() + begin, others.data() + end);
                          compare(class_of(begin), space);
                          advance(static_cast<std::int64_t>(end - begin));
                      });
    }

    // The rows at space.positions with a class, pair by pair.
    void compare(std::int64_t c, workspace& space) {
        const auto count = static_cast<std::int64_t>(space.positions.size());
        space.originals.clear();
        for (const std::int64_t position : space.positions)
            space.originals.push_back(partition_.order[static_cast<std::size_t>(position)]);
        space.means.resize(space.positions.size());
        space.rows.pack(x_.data, x_.stride, space.originals.data(), count, engine_.scale(), engine_.centre().data());
        engine_.mean_distances(space.rows.block(0, count), c, space.means.data(), space.pairs);
        const std::lock_guard<std::mutex> lock(mutex_);
        for (std::size_t r = 0; r < space.positions.size(); ++r) engine_.take(space.positions[r], space.means[r]);
        pairs_ += static_cast<double>(count) * static_cast<double>(partition_.size(c));
    }

    // Rows at positions [begin, end) with all classes that the bounds cannot rule out.
    void finish_part(std::int64_t begin, std::int64_t end, const options& opt) {
        const std::int64_t classes = partition_.classes(), blocks = (end - begin + together - 1) / together;
        left_.assign(static_cast<std::size_t>(blocks * classes * words), 0);
        screened_.assign(static_cast<std::size_t>(blocks * classes), 0);
        for_each_task(blocks, end - begin, phase(opt, 0, 0.3), [&](std::int64_t block, workspace& space, auto advance) {
            const std::int64_t first = begin + block * together, stop = std::min(first + together, end);
            screen_block(block, first, stop, space.screening);
            advance(stop - first);
        });
        const std::int64_t stripes = std::min(blocks, (least_tasks + classes - 1) / classes);
        const auto for_each_stripe = [&](const options& of_level, std::int64_t most, bool all, auto visit) {
            for_each_task(classes * stripes, classes * stripes, of_level,
                          [&](std::int64_t index, workspace& space, auto advance) {
                              const std::int64_t c = index / stripes, stripe = index % stripes;
                              for_each_group(c, blocks * stripe / stripes, blocks * (stripe + 1) / stripes, begin, most,
                                             all, space, [&] {
                                                 visit(c, space);
                                                 advance(0);
                                             });
                              advance(1);
                          });
        };
        if (levels_.all > levels_.few)
            for_each_stripe(phase(opt, 0.3, 0.6), together, false, [&](std::int64_t c, workspace& space) {
                if (has_directions(c)) screen_group(c, begin, space);
            });
        for_each_stripe(phase(opt, 0.6, 1), engine_.block_rows(), true,
                        [&](std::int64_t c, workspace& space) { compare(c, space); });
    }

    std::uint64_t* left_of(std::int64_t block, std::int64_t c) {
        return left_.data() + (block * partition_.classes() + c) * words;
    }

    void set_limits(const std::int64_t* positions, std::int64_t first, std::int64_t count, T* limits) const {
        for (std::int64_t r = 0; r < count; ++r) {
            const std::int64_t position = positions ? positions[r] : first + r;
            limits[r] = stands_alone(position) ? T(0) : limit_of<T>(engine_.nearest(position));
        }
    }

    // The first level, for all classes and the rows at positions [begin, end) of a block.
    void screen_block(std::int64_t block, std::int64_t begin, std::int64_t end,
                      typename class_screen<T>::workspace& space) {
        set_limits(nullptr, begin, end - begin, space.limits.data());
        screen_->screen_all(begin, end, space, [&](std::int64_t c, const T* survives) {
            std::uint64_t* const bits = left_of(block, c);
            for (std::int64_t r = 0; r < end - begin; ++r)
                bits[r / 64] |= static_cast<std::uint64_t>(survives[r] > 0) << (r % 64);
        });
        for (std::int64_t r = 0; r < end - begin; ++r) {
            forget(class_at(begin + r), block, r);
            if (!stands_alone(begin + r)) continue;
            for (std::int64_t c = 0; c < partition_.classes(); ++c) forget(c, block, r);
        }
        if (levels_.all > levels_.few)
            for (std::int64_t c = 0; c < partition_.classes(); ++c)
                if (has_directions(c)) screen_left(c, block, space);
    }

    bool has_directions(std::int64_t c) const { return partition_.size(c) >= 2 * levels_.all; }

    // The second level, for the rows of a block that class c is left for, where these are many.
    void screen_left(std::int64_t c, std::int64_t block, typename class_screen<T>::workspace& space) {
        space.chosen.clear();
        for (std::int64_t w = 0; w < words; ++w)
            for (std::uint64_t bits = left_of(block, c)[w]; bits != 0; bits &= bits - 1)
                space.chosen.push_back(w * 64 + __builtin_ctzll(bits));
        if (static_cast<std::int64_t>(space.chosen.size()) < worth_a_block) return;
        screen_->screen_chosen(c, space);
        for (std::size_t i = 0; i < space.chosen.size(); ++i)
            if (!(space.survives.data()[i] > 0)) forget(c, block, space.chosen[i]);
        screened_[static_cast<std::size_t>(block * partition_.classes() + c)] = 1;
    }

    void forget(std::int64_t c, std::int64_t block, std::int64_t row) {
        left_of(block, c)[row / 64] &= ~(std::uint64_t{1} << (row % 64));
    }

    // Collects the rows of some blocks that class c is left for, `most` at a time, in space.positions: of all blocks,
    // or of those where the second level has not been.
    template <class Visit>
    void for_each_group(std::int64_t c, std::int64_t from, std::int64_t to, std::int64_t begin, std::int64_t most,
                        bool all, workspace& space, Visit visit) {
        space.positions.clear();
        for (std::int64_t block = from; block < to; ++block) {
            if (!all && screened_[static_cast<std::size_t>(block * partition_.classes() + c)]) continue;
            for (std::int64_t w = 0; w < words; ++w)
                for (std::uint64_t bits = left_of(block, c)[w]; bits != 0; bits &= bits - 1) {
                    space.positions.push_back(begin + block * together + w * 64 + __builtin_ctzll(bits));
                    if (static_cast<std::int64_t>(space.positions.size()) < most) continue;
                    visit();
                    space.positions.clear();
                }
        }
        if (!space.positions.empty()) visit();
    }

    // The second level, for a class and a group of rows from anywhere.
    void screen_group(std::int64_t c, std::int64_t part_begin, workspace& space) {
        const auto count = static_cast<std::int64_t>(space.positions.size());
        set_limits(space.positions.data(), 0, count, space.screening.limits.data());
        screen_->screen_class(c, space.positions, false, space.screening);
        for (std::size_t r = 0; r < space.positions.size(); ++r) {
            const std::int64_t at = space.positions[r] - part_begin;
            if (!(space.screening.survives.data()[r] > 0)) forget(c, at / together, at % together);
        }
    }

    const matrix_view<T> x_;
    const partition& partition_;
    const int threads_;
    pair_engine<T> engine_;
    const bounds_frame<T> frame_;
    const pruning_levels levels_;
    const std::vector<std::int64_t> class_at_;
    const class_screen<T>* screen_ = nullptr;
    std::vector<std::uint64_t> left_;  // [(block * classes + class) * words]: a bit for each row of the block
    std::vector<char> screened_;       // [block * classes + class]: whether the second level has been there
    std::vector<std::unique_ptr<workspace>> spaces_;
    std::mutex mutex_;
    double pairs_ = 0;
};

}  // namespace

template <class T>
void silhouettes_of_needed_pairs(matrix_view<T> x, const partition& p, const cpu::kernel_set<T>& kernels,
                                 array_view<double> samples, int threads, const options& opt) {
    pruned_engine<T> engine(x, p, kernels, threads, opt);
    const std::vector<std::int64_t> vanished = engine.run(samples, opt);
    if (opt.pairs_evaluated) *opt.pairs_evaluated = engine.pairs();
    restore_vanished_rows(x, p, metric::euclidean, vanished, samples, threads, opt);
}

template void silhouettes_of_needed_pairs(matrix_view<float>, const partition&, const cpu::kernel_set<float>&,
                                          array_view<double>, int, const options&);
template void silhouettes_of_needed_pairs(matrix_view<double>, const partition&, const cpu::kernel_set<double>&,
                                          array_view<double>, int, const options&);

}  // namespace zoorank
