// Exact Euclidean silhouettes without all pairs; docs/pruning.md has the bounds and their proofs. For each row:
//   1. the own class, and the few others of its unit, pair by pair as ever;
//   2. the class of the least mean squared distance, pair by pair: no class that is farther can be the nearest one;
//   3. bounds from class means and a few directions for all classes, and from all directions for those that are left;
//   4. for those still left, distances in the directions alone, with a bound on what lies in no direction;
//   5. what none of these could rule out, pair by pair.
// Rows come in parts, and what is left of a part is a bit for each row and class. Which pairs are computed, and side by
// side with which, depends on the data alone.
#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <numeric>

#include "class_bounds.hpp"
#include "cpu/kernel_table.hpp"
#include "methods.hpp"
#include "packed_rows.hpp"
#include "pair_engine.hpp"
#include "pruning.hpp"

namespace zoorank {
namespace {

constexpr std::int64_t together = 240;  // rows of a block: whole panels and tiles of every set
constexpr std::int64_t words = (together + 63) / 64;
constexpr std::int64_t least_bits = 1 << 24;  // of a part; more only as the input is larger
constexpr std::int64_t least_tasks = 64;

// All pairs of so few multiply-adds are not worth a sample, and what pruning is predicted to save has to be so much
// that it may be wrong.
constexpr double least_worthwhile = 4e9, worthwhile_share = 0.9;
constexpr std::int64_t sampled_rows = 64;

// Bounds are taken of rows so small that cubes of their squared distances are numbers, and mean squared distances that
// are less than this have lost digits.
template <class T>
constexpr int shrinking = sizeof(T) == 4 ? 38 : 390;
constexpr double least_square = 0x1p-30;

// An exact mean may be off by so much, as far as silhouettes may.
template <class T>
constexpr double mean_tolerance = sizeof(T) == 4 ? 5e-6 : 1e-12;

// Options that report a share [from, to] of the whole.
options phase(const options& opt, double from, double to) {
    options part = opt;
    if (opt.progress)
        part.progress = [ask = opt.progress, from, to](double fraction) { return ask(from + fraction * (to - from)); };
    return part;
}

template <class T>
class pruned_engine {
public:
    pruned_engine(matrix_view<T> x, const partition& p, const cpu::kernel_set<T>& kernels, int threads,
                  const options& opt)
        : x_(x),
          partition_(p),
          kernels_(cpu::active_set<T>()),
          threads_(threads),
          engine_(x, p, metric::euclidean, kernels, threads, opt),
          class_at_(class_of_position(p)) {
        frame_.scale = std::ldexp(engine_.scale(), -shrinking<T>);
        for (const T value : engine_.centre()) frame_.centre.push_back(std::ldexp(value, -shrinking<T>));
    }

    // Returns the positions of rows whose distances have vanished.
    std::vector<std::int64_t> run(array_view<double> samples, const options& opt) {
        const pruning_levels levels = levels_for(x_.rows, x_.cols, partition_.classes());
        if (opt.pairs == pair_selection::automatic && !promises(levels)) {
            add_all(opt);
            return engine_.write(samples);
        }
        class_bounds<T> bounds(x_, partition_, frame_, levels.all, levels.few);
        bounds_ = &bounds;
        if (opt.pairs == pair_selection::needed || pays(bounds, levels, phase(opt, 0, 0.02)))
            add_needed(bounds, levels, phase(opt, 0.02, 1));
        else
            add_all(phase(opt, 0.02, 1));
        bounds_ = nullptr;
        return engine_.write(samples);
    }

    double pairs() const { return pairs_; }

private:
    void add_all(const options& opt) {
        engine_.add_all(opt);
        pairs_ = static_cast<double>(x_.rows) * static_cast<double>(x_.rows - 1) / 2;
    }

    void add_needed(class_bounds<T>& bounds, const pruning_levels& levels, const options& opt) {
        engine_.add_within_units(phase(opt, 0, 0.1));
        pairs_ = engine_.pairs_within_units();
        std::vector<std::int64_t> every_class(static_cast<std::size_t>(partition_.classes()));
        std::iota(every_class.begin(), every_class.end(), 0);
        bounds.describe(every_class, threads_, phase(opt, 0.1, 0.15));
        pack_points(levels.few);
        compare_with_likeliest(phase(opt, 0.15, 0.3));
        const std::int64_t classes = partition_.classes();
        const std::int64_t bits = std::max<std::int64_t>(least_bits, 2 * x_.rows * x_.cols * std::int64_t{sizeof(T)});
        const std::int64_t part = std::max<std::int64_t>(1, bits / classes / together) * together;
        const double parts = static_cast<double>((x_.rows + part - 1) / part);
        for (std::int64_t begin = 0, index = 0; begin < x_.rows; begin += part, ++index) {
            const double from = 0.3 + 0.7 * static_cast<double>(index) / parts, step = 0.7 / parts;
            finish_part(begin, std::min(begin + part, x_.rows), phase(opt, from, from + step));
        }
    }

    double cost_of_all() const { return cost_of_all_pairs(x_.rows, x_.cols, partition_.classes()); }
    double predicted_cost(const pruning_levels& levels, const pruning_shares& left) const {
        return cost_of_pruning(partition_, x_.cols, levels, engine_.pairs_within_units(), left);
    }

    // Whether pruning could pay if the bounds ruled out all that they are taken of.
    bool promises(const pruning_levels& levels) const {
        const double all = cost_of_all();
        return all > least_worthwhile && predicted_cost(levels, {0, 0, 0}) < worthwhile_share * all;
    }

    // Whether pruning is predicted to cost less than all pairs, judged by a few rows and classes, evenly spaced.
    bool pays(class_bounds<T>& bounds, const pruning_levels& levels, const options& opt) {
        const std::int64_t classes = partition_.classes();
        bounds.find_means(threads_, phase(opt, 0, 0.5));
        std::vector<std::int64_t> sampled;
        const std::int64_t count = std::min(classes, std::max<std::int64_t>(2, classes / 64));
        for (std::int64_t i = 0; i < count; ++i) sampled.push_back((2 * i + 1) * classes / (2 * count));
        bounds.describe(sampled, threads_, phase(opt, 0.5, 1));
        return predicted_cost(levels, shares_of_sample(sampled)) < worthwhile_share * cost_of_all();
    }

    // What the levels leave of pairs of a few rows and the sampled classes.
    pruning_shares shares_of_sample(const std::vector<std::int64_t>& sampled) {
        workspace space(kernels_, x_.cols, engine_.room_for_rows());
        const std::int64_t rows = std::min(x_.rows, sampled_rows);
        pack_points(0);
        std::vector<std::int64_t> likeliest(static_cast<std::size_t>(x_.rows), -1);
        std::vector<double> nearest(static_cast<std::size_t>(rows));
        space.positions.resize(static_cast<std::size_t>(rows));
        for (std::int64_t r = 0; r < rows; ++r) {
            const std::int64_t position = (2 * r + 1) * x_.rows / (2 * rows);
            space.positions[static_cast<std::size_t>(r)] = position;
            find_likeliest(position, position + 1, likeliest, space);
            const std::int64_t c = likeliest[static_cast<std::size_t>(position)];
            space.limits.data()[r] = 0;
            if (c < 0) continue;
            space.originals.assign(1, partition_.order[static_cast<std::size_t>(position)]);
            space.exact_rows.pack(x_.data, x_.stride, space.originals.data(), 1, engine_.scale(),
                                  engine_.centre().data());
            engine_.mean_distances(space.exact_rows.block(0, 1), c, &nearest[static_cast<std::size_t>(r)], space.pairs);
        }
        double pairs = 0;
        pruning_shares left{0, 0, 0};
        for (const std::int64_t c : sampled) {
            std::vector<T> limits;
            space.candidates.clear();
            for (std::int64_t r = 0; r < rows; ++r) {
                const std::int64_t position = space.positions[static_cast<std::size_t>(r)];
                const std::int64_t first = likeliest[static_cast<std::size_t>(position)];
                if (first < 0 || first == c || class_at_[static_cast<std::size_t>(position)] == c) continue;
                space.candidates.push_back(position);
                limits.push_back(static_cast<T>(limit(nearest[static_cast<std::size_t>(r)])));
            }
            std::copy(limits.begin(), limits.end(), space.limits.data());
            const level_counts found = screen_candidates(c, pack_points_of(c), space, true);
            pairs += static_cast<double>(limits.size());
            left.few += found.few;
            left.all += found.all;
            left.reduced += found.reduced;
        }
        if (pairs == 0) return {};
        return {left.few / pairs, left.all / pairs, left.reduced / pairs};
    }

    struct workspace {
        workspace(const cpu::kernel_set<T>& kernels, std::int64_t depth, packed_rows<T> exact_room)
            : rows(kernels, together, depth),
              exact_rows(std::move(exact_room)),
              products(cpu::scratch_size),
              norms(together),
              limits(together),
              survives(together),
              apart(together),
              beyond(together) {}
        packed_rows<T> rows, exact_rows;
        aligned_buffer<T> products, norms, limits, survives, apart, beyond;
        std::vector<std::int64_t> positions, candidates, originals;
        std::vector<T> along;
        std::vector<double> sums, means;
        typename pair_engine<T>::workspace pairs;
    };

    template <class Task>
    void for_each_task(std::int64_t count, std::int64_t work, const options& opt, Task task) {
        spaces_.resize(static_cast<std::size_t>(threads_));
        parallel_for(count, threads_, work, opt, [&](std::int64_t index, int worker, progress_meter& meter) {
            auto& space = spaces_[static_cast<std::size_t>(worker)];
            if (!space) space = std::make_unique<workspace>(kernels_, x_.cols, engine_.room_for_rows());
            task(index, *space, meter, worker);
        });
    }

    std::int64_t size_at(std::int64_t position) const {
        return partition_.size(class_at_[static_cast<std::size_t>(position)]);
    }

    // The means and the first few directions of all classes, as one side of products.
    void pack_points(std::int64_t few) {
        points_of_class_ = 1 + few;
        const std::int64_t stride = 1 + bounds_->directions(), classes = partition_.classes();
        classes_together_ = together / points_of_class_;
        const std::int64_t blocks = (classes + classes_together_ - 1) / classes_together_;
        std::vector<std::int64_t> order(static_cast<std::size_t>(blocks * together), 0);
        for (std::int64_t c = 0; c < classes; ++c)
            for (std::int64_t k = 0; k < points_of_class_; ++k)
                order[static_cast<std::size_t>(c / classes_together_ * together +
                                               c % classes_together_ * points_of_class_ + k)] = c * stride + k;
        screened_ = packed_rows<T>(kernels_, blocks * together, x_.cols);
        screened_.pack(bounds_->points(0), x_.cols, order.data(), blocks * together, T(1), nullptr);
        means_ = packed_rows<T>(kernels_, classes, x_.cols);
        std::vector<std::int64_t> first(static_cast<std::size_t>(classes));
        for (std::int64_t c = 0; c < classes; ++c) first[static_cast<std::size_t>(c)] = c * stride;
        means_.pack(bounds_->points(0), x_.cols, first.data(), classes, T(1), nullptr);
    }

    // Rows at positions [begin, begin + count), as the other side.
    cpu::operand<T> pack_rows(const std::int64_t* originals, std::int64_t count, workspace& space) const {
        space.rows.pack(x_.data, x_.stride, originals, count, frame_.scale, frame_.centre.data());
        return space.rows.block(0, count);
    }

    // What a class has to exceed to be ruled out for a row: nothing where s is 0 anyway.
    static T limit(double nearest) {
        const double shrunk = std::ldexp(nearest, -shrinking<T>) * (1 + mean_tolerance<T>);
        return static_cast<T>(shrunk * shrunk * (1 + 8 * static_cast<double>(std::numeric_limits<T>::epsilon())));
    }
    T limit_at(std::int64_t position) const { return size_at(position) == 1 ? T(0) : limit(engine_.nearest(position)); }

    // Every row with the class of the least mean squared distance.
    void compare_with_likeliest(const options& opt) {
        const std::int64_t classes = partition_.classes(), blocks = (x_.rows + together - 1) / together;
        std::vector<std::int64_t> likeliest(static_cast<std::size_t>(x_.rows), -1);
        for_each_task(blocks, x_.rows, phase(opt, 0, 0.4),
                      [&](std::int64_t block, workspace& space, progress_meter& meter, int worker) {
                          find_likeliest(block * together, std::min(block * together + together, x_.rows), likeliest,
                                         space);
                          meter.advance(std::min(together, x_.rows - block * together), worker);
                      });
        std::vector<std::int64_t> begin(static_cast<std::size_t>(classes) + 1, 0);
        for (const std::int64_t c : likeliest)
            if (c >= 0) ++begin[static_cast<std::size_t>(c) + 1];
        std::partial_sum(begin.begin(), begin.end(), begin.begin());
        std::vector<std::int64_t> positions(static_cast<std::size_t>(begin.back())),
            next(begin.begin(), begin.end() - 1);
        for (std::int64_t i = 0; i < x_.rows; ++i) {
            const std::int64_t c = likeliest[static_cast<std::size_t>(i)];
            if (c >= 0) positions[static_cast<std::size_t>(next[static_cast<std::size_t>(c)]++)] = i;
        }
        struct group {
            std::int64_t class_index, begin, end;
        };
        std::vector<group> groups;
        for (std::int64_t c = 0; c < classes; ++c)
            for (std::int64_t i = begin[static_cast<std::size_t>(c)]; i < begin[static_cast<std::size_t>(c) + 1];
                 i += engine_.block_rows())
                groups.push_back({c, i, std::min(i + engine_.block_rows(), begin[static_cast<std::size_t>(c) + 1])});
        for_each_task(static_cast<std::int64_t>(groups.size()), begin.back(), phase(opt, 0.4, 1),
                      [&](std::int64_t index, workspace& space, progress_meter& meter, int worker) {
                          const group& g = groups[static_cast<std::size_t>(index)];
                          compare(g.class_index, positions.data() + g.begin, g.end - g.begin, space);
                          meter.advance(g.end - g.begin, worker);
                      });
    }

    void find_likeliest(std::int64_t begin, std::int64_t end, std::vector<std::int64_t>& likeliest, workspace& space) {
        const cpu::operand<T> rows = pack_rows(partition_.order.data() + begin, end - begin, space);
        std::fill_n(space.limits.data(), end - begin, std::numeric_limits<T>::infinity());
        for (std::int64_t first = 0; first < partition_.classes(); first += together) {
            const std::int64_t count = std::min(together, partition_.classes() - first);
            kernels_.multiply({means_.block(first, count), rows, x_.cols, T(1), space.products.data()});
            for (std::int64_t j = 0; j < count; ++j) {
                const cpu::class_form<T> form = bounds_->form(first + j, false);
                const T* products = space.products.data() + j * cpu::scratch_stride;
                const T own = form.square + form.spread;
                T* const least = space.limits.data();
                for (std::int64_t r = 0; r < end - begin; ++r) {
                    const T square = own - 2 * products[r];
                    if (!(square < least[r]) || class_at_[static_cast<std::size_t>(begin + r)] == first + j) continue;
                    least[r] = square;
                    likeliest[static_cast<std::size_t>(begin + r)] = first + j;
                }
            }
        }
        for (std::int64_t i = begin; i < end; ++i)
            if (size_at(i) == 1) likeliest[static_cast<std::size_t>(i)] = -1;
    }

    // Rows at some positions with a class, pair by pair.
    void compare(std::int64_t c, const std::int64_t* positions, std::int64_t count, workspace& space) {
        space.originals.resize(static_cast<std::size_t>(count));
        space.means.resize(static_cast<std::size_t>(count));
        for (std::int64_t r = 0; r < count; ++r)
            space.originals[static_cast<std::size_t>(r)] = partition_.order[static_cast<std::size_t>(positions[r])];
        space.exact_rows.pack(x_.data, x_.stride, space.originals.data(), count, engine_.scale(),
                              engine_.centre().data());
        engine_.mean_distances(space.exact_rows.block(0, count), c, space.means.data(), space.pairs);
        const std::lock_guard<std::mutex> lock(mutex_);
        for (std::int64_t r = 0; r < count; ++r) engine_.take(positions[r], space.means[static_cast<std::size_t>(r)]);
        pairs_ += static_cast<double>(count) * static_cast<double>(partition_.size(c));
    }

    // Rows at positions [begin, end) with all that the bounds cannot rule out.
    void finish_part(std::int64_t begin, std::int64_t end, const options& opt) {
        const std::int64_t classes = partition_.classes(), blocks = (end - begin + together - 1) / together;
        left_.assign(static_cast<std::size_t>(blocks * classes * words), 0);
        for_each_task(blocks, end - begin, phase(opt, 0, 0.3),
                      [&](std::int64_t block, workspace& space, progress_meter& meter, int worker) {
                          const std::int64_t first = begin + block * together, stop = std::min(first + together, end);
                          screen_all(block, first, stop, space);
                          meter.advance(stop - first, worker);
                      });
        const std::int64_t stripes = std::min(blocks, (least_tasks + classes - 1) / classes);
        const auto for_each_stripe = [&](const options& of_level, auto visit) {
            for_each_task(classes * stripes, classes * stripes, of_level,
                          [&](std::int64_t index, workspace& space, progress_meter& meter, int worker) {
                              const std::int64_t c = index / stripes, stripe = index % stripes;
                              visit(c, blocks * stripe / stripes, blocks * (stripe + 1) / stripes, space,
                                    [&] { meter.advance(0, worker); });
                              meter.advance(1, worker);
                          });
        };
        if (bounds_->directions() > points_of_class_ - 1)
            for_each_stripe(phase(opt, 0.3, 0.6),
                            [&](std::int64_t c, std::int64_t from, std::int64_t to, workspace& space, auto heartbeat) {
                                if (partition_.size(c) < 2 * bounds_->directions()) return;
                                const auto points = pack_points_of(c);
                                for_each_group(c, from, to, begin, together, space, [&] {
                                    screen_group(c, begin, points, space);
                                    heartbeat();
                                });
                            });
        for_each_stripe(phase(opt, 0.6, 1), [&](std::int64_t c, std::int64_t from, std::int64_t to, workspace& space,
                                                auto heartbeat) {
            for_each_group(c, from, to, begin, engine_.block_rows(), space, [&] {
                compare(c, space.positions.data(), static_cast<std::int64_t>(space.positions.size()), space);
                heartbeat();
            });
        });
    }

    std::uint64_t* left_of(std::int64_t block, std::int64_t c) {
        return left_.data() + (block * partition_.classes() + c) * words;
    }

    // All classes for the rows of a block, from their means and a few directions.
    void screen_all(std::int64_t block, std::int64_t begin, std::int64_t end, workspace& space) {
        const std::int64_t rows = end - begin;
        const cpu::operand<T> packed = pack_rows(partition_.order.data() + begin, rows, space);
        for (std::int64_t r = 0; r < rows; ++r) space.limits.data()[r] = limit_at(begin + r);
        for (std::int64_t first = 0; first < partition_.classes(); first += classes_together_) {
            const std::int64_t count = std::min(classes_together_, partition_.classes() - first);
            kernels_.multiply({screened_.block(first / classes_together_ * together, count * points_of_class_), packed,
                               x_.cols, T(1), space.products.data()});
            for (std::int64_t j = 0; j < count; ++j) {
                kernels_.screen({bounds_->form(first + j, false),
                                 space.products.data() + j * points_of_class_ * cpu::scratch_stride, packed.norms,
                                 space.limits.data(), static_cast<T>(least_square), rows, space.survives.data(),
                                 nullptr, nullptr});
                std::uint64_t* const bits = left_of(block, first + j);
                const T* survives = space.survives.data();
                for (std::int64_t r = 0; r < rows; ++r)
                    bits[r / 64] |= static_cast<std::uint64_t>(survives[r] > 0) << (r % 64);
            }
        }
        // Those that have been computed: the own class and the likeliest, and none for a class of one.
        for (std::int64_t r = 0; r < rows; ++r) {
            const std::uint64_t others = ~(std::uint64_t{1} << (r % 64));
            left_of(block, class_at_[static_cast<std::size_t>(begin + r)])[r / 64] &= others;
            if (size_at(begin + r) > 1) continue;
            for (std::int64_t c = 0; c < partition_.classes(); ++c) left_of(block, c)[r / 64] &= others;
        }
    }

    // Collects rows that class c is left for, `most` at a time, in space.positions.
    template <class Visit>
    void for_each_group(std::int64_t c, std::int64_t from, std::int64_t to, std::int64_t begin, std::int64_t most,
                        workspace& space, Visit visit) {
        space.positions.clear();
        for (std::int64_t block = from; block < to; ++block)
            for (std::int64_t w = 0; w < words; ++w)
                for (std::uint64_t bits = left_of(block, c)[w]; bits != 0; bits &= bits - 1) {
                    space.positions.push_back(begin + block * together + w * 64 + __builtin_ctzll(bits));
                    if (static_cast<std::int64_t>(space.positions.size()) < most) continue;
                    visit();
                    space.positions.clear();
                }
        if (!space.positions.empty()) visit();
    }

    packed_rows<T> pack_points_of(std::int64_t c) const {
        packed_rows<T> points(kernels_, 1 + bounds_->directions(), x_.cols);
        points.pack(bounds_->points(c), x_.cols, nullptr, 1 + bounds_->directions(), T(1), nullptr);
        return points;
    }

    // Forgets one class for those rows of a group that it is ruled out for.
    void screen_group(std::int64_t c, std::int64_t part_begin, const packed_rows<T>& points, workspace& space) {
        space.candidates = space.positions;
        for (std::size_t r = 0; r < space.positions.size(); ++r) space.limits.data()[r] = limit_at(space.positions[r]);
        screen_candidates(c, points, space, false);
        for (std::size_t r = 0; r < space.positions.size(); ++r)
            if (!(space.survives.data()[r] > 0)) forget(c, part_begin, space.positions[r]);
    }

    // How many rows each level leaves.
    struct level_counts {
        double few = 0, all = 0, reduced = 0;
    };

    // One class for at most a block of rows, from all of its directions, and then from distances in these. `survives`
    // of the workspace says for which the class is left.
    level_counts screen_candidates(std::int64_t c, const packed_rows<T>& points, workspace& space, bool count_few) {
        const auto rows = static_cast<std::int64_t>(space.candidates.size());
        const std::int64_t directions = bounds_->directions();
        level_counts counts;
        space.originals.resize(static_cast<std::size_t>(rows));
        for (std::int64_t r = 0; r < rows; ++r)
            space.originals[static_cast<std::size_t>(r)] =
                partition_.order[static_cast<std::size_t>(space.candidates[static_cast<std::size_t>(r)])];
        const cpu::operand<T> packed = pack_rows(space.originals.data(), rows, space);
        kernels_.multiply({points.block(0, 1 + directions), packed, x_.cols, T(1), space.products.data()});
        const auto screen = [&](bool all) {
            kernels_.screen({bounds_->form(c, all), space.products.data(), packed.norms, space.limits.data(),
                             static_cast<T>(least_square), rows, space.survives.data(), space.apart.data(),
                             space.beyond.data()});
            return std::accumulate(space.survives.data(), space.survives.data() + rows, 0.0);
        };
        if (count_few) counts.few = screen(false);
        counts.all = screen(true);
        if (counts.all == 0 || directions == 0) return counts;
        std::vector<std::int64_t> left;
        for (std::int64_t r = 0; r < rows; ++r)
            if (space.survives.data()[r] > 0) left.push_back(r);
        const auto count = static_cast<std::int64_t>(left.size());
        const auto& rest = bounds_->rest_of(c);
        const double error = class_bounds<T>::part_error(directions, x_.cols);
        const T* const offset = bounds_->form(c, true).offset;
        space.along.resize(static_cast<std::size_t>(count * directions));
        for (std::int64_t i = 0; i < count; ++i)
            for (std::int64_t k = 0; k < directions; ++k)
                space.along[static_cast<std::size_t>(i * directions + k)] =
                    space.products.data()[(k + 1) * cpu::scratch_stride + left[static_cast<std::size_t>(i)]] -
                    offset[k];
        packed_rows<T> reduced(kernels_, count, directions);
        reduced.pack(space.along.data(), directions, nullptr, count, T(1), nullptr);
        cpu::operand<T> block = reduced.block(0, count);
        std::vector<T> norms(static_cast<std::size_t>(count)), least(norms.size(), std::numeric_limits<T>::max());
        for (std::int64_t i = 0; i < count; ++i) {
            const std::int64_t r = left[static_cast<std::size_t>(i)];
            const double lost = 6 * error * (static_cast<double>(packed.norms[r]) + rest.square);
            const double beyond = std::max(static_cast<double>(space.beyond.data()[r]) - lost, 0.0);
            norms[static_cast<std::size_t>(i)] = block.norms[i] + static_cast<T>(beyond);
        }
        block.norms = norms.data();
        space.sums.assign(norms.size(), 0.0);
        for (std::int64_t j = 0; j < partition_.size(c); j += together)
            kernels_.sum_roots({{block, bounds_->reduced(c, j, std::min(together, partition_.size(c) - j)), directions,
                                 T(1), space.products.data()},
                                space.sums.data(),
                                least.data()});
        for (std::int64_t i = 0; i < count; ++i) {
            const std::int64_t r = left[static_cast<std::size_t>(i)];
            reduced_sum found;
            found.mean_root = space.sums[static_cast<std::size_t>(i)] / static_cast<double>(partition_.size(c));
            found.least = static_cast<double>(least[static_cast<std::size_t>(i)]);
            found.norm = static_cast<double>(norms[static_cast<std::size_t>(i)]);
            found.row_square = static_cast<double>(packed.norms[r]);
            found.apart = static_cast<double>(space.apart.data()[r]);
            found.beyond = static_cast<double>(space.beyond.data()[r]);
            const double bound = least_mean_distance<T>(found, rest, directions, x_.cols, partition_.size(c));
            if (bound * bound > static_cast<double>(space.limits.data()[r]))
                space.survives.data()[r] = 0;
            else
                counts.reduced += 1;
        }
        return counts;
    }

    void forget(std::int64_t c, std::int64_t part_begin, std::int64_t position) {
        const std::int64_t at = position - part_begin, r = at % together;
        left_of(at / together, c)[r / 64] &= ~(std::uint64_t{1} << (r % 64));
    }

    const matrix_view<T> x_;
    const partition& partition_;
    const cpu::kernel_set<T>& kernels_;  // of bounds; pairs may have others
    const int threads_;
    pair_engine<T> engine_;
    const std::vector<std::int64_t> class_at_;
    bounds_frame<T> frame_;
    const class_bounds<T>* bounds_ = nullptr;
    packed_rows<T> means_, screened_;  // a block of the latter has classes_together_ classes
    std::int64_t points_of_class_ = 0, classes_together_ = 0;
    std::vector<std::uint64_t> left_;  // [(block * classes + class) * words]: a bit for each row of the block
    std::vector<std::unique_ptr<workspace>> spaces_;
    std::mutex mutex_;
    double pairs_ = 0;
};

}  // namespace

template <class T>
double least_mean_distance(const reduced_sum& sum, const typename class_bounds<T>::rest& rest, std::int64_t directions,
                           std::int64_t depth, std::int64_t size) {
    constexpr double unit = std::numeric_limits<T>::epsilon() / 2;
    const double part_error = class_bounds<T>::part_error(directions, depth), both = sum.row_square + rest.square;
    const double product_error =
        class_bounds<T>::product_error(directions) * (sum.norm + rest.largest + rest.largest_beside);
    if (!(sum.least > 4 * product_error)) return 0;
    // All distances in the directions may be off by so much, and so may the least of them.
    const double strayed = 2 * part_error * (std::sqrt(both) + std::sqrt(rest.largest));
    const double least_root = std::sqrt(sum.least - product_error) - strayed;
    const double mean_root = sum.mean_root * (1 - 64 * unit) - product_error / std::sqrt(sum.least) - strayed;
    if (!(least_root > 0 && mean_root > 0)) return 0;
    const double summed = class_bounds<T>::sum_error(depth, static_cast<double>(size));
    const double mean_square =
        (sum.apart + rest.spread) * (1 + summed) + (class_bounds<T>::product_error(depth) + summed) * both;
    const double beyond = sum.beyond + 6 * part_error * both;
    const double variance = 4 * rest.tail * beyond;  // of what the directions leave out of a squared distance
    const double least = least_root * least_root;
    const double share = std::min(2 * std::sqrt(beyond * rest.largest_beside) / least, 1.0);
    const double curvature = 0.5 / std::pow(1 + std::sqrt(1 - share), 2);
    const double spread = std::sqrt(std::max(mean_square - mean_root * mean_root, 0.0));
    const double bound = mean_root - std::sqrt(variance) / 2 * spread / (mean_root * least_root) -
                         curvature * variance / (least * least_root);
    return std::max(bound, 0.0);
}

template <class T>
void silhouettes_of_needed_pairs(matrix_view<T> x, const partition& p, const cpu::kernel_set<T>& kernels,
                                 array_view<double> samples, int threads, const options& opt) {
    pruned_engine<T> engine(x, p, kernels, threads, opt);
    const std::vector<std::int64_t> vanished = engine.run(samples, opt);
    if (opt.pairs_evaluated) *opt.pairs_evaluated = engine.pairs();
    restore_vanished_rows(x, p, metric::euclidean, vanished, samples, threads, opt);
}

template double least_mean_distance<float>(const reduced_sum&, const class_bounds<float>::rest&, std::int64_t,
                                           std::int64_t, std::int64_t);
template double least_mean_distance<double>(const reduced_sum&, const class_bounds<double>::rest&, std::int64_t,
                                            std::int64_t, std::int64_t);
template void silhouettes_of_needed_pairs(matrix_view<float>, const partition&, const cpu::kernel_set<float>&,
                                          array_view<double>, int, const options&);
template void silhouettes_of_needed_pairs(matrix_view<double>, const partition&, const cpu::kernel_set<double>&,
                                          array_view<double>, int, const options&);

}  // namespace zoorank
