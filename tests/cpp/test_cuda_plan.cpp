// What of the CUDA backend is arithmetic: tiles and batches, packed layouts, the sums of stretches and how rows walk
// along them, the choice of a kernel, messages. All of it without CUDA and without a GPU.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include "check.hpp"
#include "cuda/choice.hpp"
#include "cuda/fold.hpp"
#include "cuda/messages.hpp"
#include "partition.hpp"

using namespace zoorank;
using namespace zoorank::cuda;

TEST_CASE("batches cover the triangle once and stay within their budget") {
    for (const std::int64_t side : {1, 2, 15, 16, 17, 40, 333})
        for (const std::int64_t budget : {std::int64_t(1), 100 * bytes_per_tile<float>(), std::int64_t(1) << 40}) {
            std::vector<int> seen(static_cast<std::size_t>(side * side), 0);
            for (const tile_batch& batch : plan_batches<float>(side, budget)) {
                CHECK(batch.rows <= 16 || batch.tiles() * bytes_per_tile<float>() <= budget);
                for (std::int64_t number = 0; number < batch.tiles(); ++number) {
                    const tile_index tile = batch.at(number);
                    CHECK(batch.number_of(tile) == number);
                    CHECK(tile.row >= batch.first && tile.row < batch.first + batch.rows && tile.col < side);
                    if (tile.row <= tile.col) ++seen[static_cast<std::size_t>(tile.row * side + tile.col)];
                }
            }
            for (std::int64_t row = 0; row < side; ++row)
                for (std::int64_t col = 0; col < side; ++col)
                    CHECK(seen[static_cast<std::size_t>(row * side + col)] == (row <= col ? 1 : 0));
        }
}

TEST_CASE("batches of a rectangle cover it once and say nothing of columns") {
    for (const std::int64_t rows : {1, 4, 40})
        for (const std::int64_t side : {1, 50}) {
            std::vector<int> seen(static_cast<std::size_t>(rows * side), 0);
            for (const tile_batch& batch : plan_rectangle<float>(rows, side, 100 * bytes_per_tile<float>()))
                for (std::int64_t number = 0; number < batch.tiles(); ++number) {
                    const tile_index tile = batch.at(number);
                    CHECK(batch.number_of(tile) == number && batch.computes(tile));
                    CHECK(!batch.on_diagonal(tile) && !batch.speaks_of_columns(tile));
                    ++seen[static_cast<std::size_t>(tile.row * side + tile.col)];
                }
            CHECK(std::all_of(seen.begin(), seen.end(), [](int times) { return times == 1; }));
        }
}

TEST_CASE("two thousand million rows have distinct places") {
    const tile_batch batch{0, 16, 2'000'000'000 / 128};
    const std::int64_t last = batch.tiles() - 1;
    CHECK(batch.number_of(batch.at(last)) == last);
    CHECK(partial_index<float>(batch.tiles(), 2, true, last, 127) == batch.tiles() * 6 * 128 - 1);
    CHECK(panel::offset<float>(15'624'999, 767, 127, 48) == std::int64_t(2'000'000'000) * 768 - 1);
    CHECK(split::image_offset(15'625'000, 0, 24) == std::int64_t(2'000'000'000) * 768 * 4);
}

TEST_CASE("an image holds each chunk once, and eight rows at one chunk meet all banks") {
    std::set<int> offsets;
    for (int row = 0; row < tile_side<float>; ++row)
        for (int chunk = 0; chunk < 8; ++chunk) {
            const int offset = split::chunk_offset(row, chunk);
            CHECK(offset % split::chunk_bytes == 0 && offset >= 0 && offset < split::image_bytes);
            offsets.insert(offset);
        }
    CHECK(offsets.size() == std::size_t(split::image_bytes / split::chunk_bytes));
    for (int first = 0; first < tile_side<float>; first += 8)
        for (int chunk = 0; chunk < 8; ++chunk) {
            std::set<int> banks;
            for (int row = first; row < first + 8; ++row) banks.insert(split::chunk_offset(row, chunk) / 4 % 32);
            CHECK(banks.size() == 8);
        }
    // What the hardware's 128-byte swizzle does: bits 4 to 6 of an address are combined with bits 7 to 9.
    for (int row = 0; row < tile_side<float>; ++row)
        for (int chunk = 0; chunk < 8; ++chunk) {
            const int plain = row * 128 + chunk * 16;
            CHECK(split::chunk_offset(row, chunk) == (plain ^ ((plain >> 7 & 7) << 4)));
        }
}

namespace {

struct problem {
    partition p;
    std::vector<std::int64_t> class_of;
    std::vector<double> distances;  // of sorted positions

    double at(std::int64_t i, std::int64_t j) const { return distances[static_cast<std::size_t>(i * p.rows() + j)]; }
};

// Distances are whole numbers, so that sums are exact in any order and type.
problem make_problem(const std::vector<std::int64_t>& sizes, unsigned seed) {
    std::vector<std::int64_t> labels;
    for (std::size_t c = 0; c < sizes.size(); ++c)
        labels.insert(labels.end(), static_cast<std::size_t>(sizes[c]), static_cast<std::int64_t>(c));
    problem result{partition_by_class(labels), {}, {}};
    result.class_of = class_of_position(result.p);
    const std::int64_t n = result.p.rows();
    result.distances.resize(static_cast<std::size_t>(n * n));
    std::mt19937 random(seed);
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < i; ++j) {
            const double value = 1 + static_cast<double>(random() % 1000);
            result.distances[static_cast<std::size_t>(i * n + j)] = value;
            result.distances[static_cast<std::size_t>(j * n + i)] = value;
        }
    return result;
}

// What the kernels do, one thread after the other.
template <class T>
class emulation {
public:
    explicit emulation(const problem& given)
        : given_(given),
          n_(given.p.rows()),
          side_(ceil_div(n_, tile_side<T>)),
          own_(static_cast<std::size_t>(n_), 0.0),
          states_(static_cast<std::size_t>(n_)) {
        for (std::int64_t tile = 0; tile < side_; ++tile) {
            tile_classes_.push_back(given.class_of[static_cast<std::size_t>(tile * tile_side<T>)]);
            tile_classes_.push_back(given.class_of[static_cast<std::size_t>(least((tile + 1) * tile_side<T>, n_) - 1)]);
        }
    }

    void run(std::int64_t budget, std::int64_t joined_tiles) {
        for (const tile_batch& batch : plan_batches<T>(side_, budget)) {
            std::vector<T> partial(static_cast<std::size_t>(batch.tiles() * bytes_per_tile<T>()) / sizeof(T),
                                   std::nan(""));
            for (std::int64_t number = 0; number < batch.tiles(); ++number) emit(batch, number, partial.data());
            for (std::int64_t mine = batch.first; mine < side_; ++mine)
                for (int row = 0; row < tile_side<T>; ++row)
                    if (mine * tile_side<T> + row < n_) pass(batch, mine, row, partial.data(), joined_tiles);
        }
    }

    void compare() const {
        for (std::int64_t i = 0; i < n_; ++i) {
            double own = 0, nearest = nothing_near;
            for (std::int64_t c = 0; c < given_.p.classes(); ++c) {
                double sum = 0;
                for (std::int64_t j = begin(c); j < begin(c + 1); ++j) sum += given_.at(i, j);
                if (c == given_.class_of[static_cast<std::size_t>(i)])
                    own = sum;
                else
                    nearest = std::min(nearest, sum / static_cast<double>(given_.p.size(c)));
            }
            CHECK(own_[static_cast<std::size_t>(i)] == own);
            const double tolerance = sizeof(T) == 4 ? 1e-4 : 1e-12;
            CHECK_CLOSE(states_[static_cast<std::size_t>(i)].nearest, nearest, tolerance);
        }
    }

private:
    std::int64_t begin(std::int64_t c) const { return given_.p.begin[static_cast<std::size_t>(c)]; }

    void emit(const tile_batch& batch, std::int64_t number, T* partial) {
        const tile_index tile = batch.at(number);
        if (tile.row > tile.col) return;
        for (const bool of_columns : {false, true}) {
            if (of_columns && tile.row == tile.col) continue;
            const std::int64_t other = of_columns ? tile.row : tile.col;
            for (int mine = 0; mine < tile_side<T>; ++mine) {
                const std::int64_t position = (of_columns ? tile.col : tile.row) * tile_side<T> + mine;
                if (position >= n_) continue;
                const auto sum = [&](int first, int last) {
                    T total = 0;
                    for (int j = first; j < last; ++j)
                        total += static_cast<T>(given_.at(position, other * tile_side<T> + j));
                    return total;
                };
                const std::int64_t own =
                    tile.row == tile.col ? given_.class_of[static_cast<std::size_t>(position)] : -1;
                write_sums(
                    partial, batch.tiles(), of_columns, number, mine,
                    sums_of_stretch<T>(other * tile_side<T>, stretch_of_tile<T>(tile_classes_.data(), other, n_),
                                       given_.p.begin.data(), own, &own_[static_cast<std::size_t>(position)], sum));
            }
        }
    }

    walker walk_of(std::int64_t position, const walk_state& state) {
        return walker(given_.p.begin.data(), given_.class_of[static_cast<std::size_t>(position)],
                      &own_[static_cast<std::size_t>(position)], state);
    }

    void pass(const tile_batch& batch, std::int64_t mine, int row, const T* partial, std::int64_t joined_tiles) {
        const std::int64_t position = mine * tile_side<T> + row;
        walk_state& state = states_[static_cast<std::size_t>(position)];
        walker walk = walk_of(position, state);
        const std::int64_t batch_end = batch.first + batch.rows;
        if (mine >= batch_end) {
            for (std::int64_t other = batch.first; other < batch_end; ++other)
                walk.pass(stretch_of_tile<T>(tile_classes_.data(), other, n_),
                          read_sums(partial, batch, mine, other, row));
        } else {
            for (std::int64_t first = batch.first; first < side_; first += joined_tiles) {
                const std::int64_t last = least(first + joined_tiles, side_);
                walker group = walk_of(position, walk_state());
                const std::int64_t first_class = tile_classes_[static_cast<std::size_t>(2 * first)];
                const std::int64_t last_class = tile_classes_[static_cast<std::size_t>(2 * last - 1)];
                group.join(first_class, last_class);
                for (std::int64_t other = first; other < last; ++other)
                    group.pass(stretch_of_tile<T>(tile_classes_.data(), other, n_),
                               read_sums(partial, batch, mine, other, row));
                walk.pass(stretch{least(last * tile_side<T>, n_), first_class, last_class}, group.joined());
            }
        }
        state = walk.state();
    }

    const problem& given_;
    std::int64_t n_, side_;
    std::vector<std::int64_t> tile_classes_;
    std::vector<double> own_;
    std::vector<walk_state> states_;
};

template <class T>
void check_sums(const std::vector<std::int64_t>& sizes) {
    const problem given = make_problem(sizes, static_cast<unsigned>(sizes.size()));
    for (const std::int64_t budget : {std::int64_t(1), std::int64_t(1) << 30})
        for (const std::int64_t joined_tiles : {1, 2, 3, 32}) {
            emulation<T> sums(given);
            sums.run(budget, joined_tiles);
            sums.compare();
        }
}

}  // namespace

TEST_CASE("rows find their own sum and their nearest class, wherever classes begin and end") {
    check_sums<double>({64, 64});                           // classes are tiles
    check_sums<double>({128, 64, 192});                     // and several
    check_sums<double>({1, 63, 1, 64, 65, 2});              // borders beside those of tiles
    check_sums<double>({5, 7, 3, 300, 1, 1, 1, 120, 40});   // one class over many tiles
    check_sums<double>({10, 10, 10, 10, 10, 10, 10, 10});   // many in a tile
    check_sums<double>(std::vector<std::int64_t>(150, 2));  // very many
    check_sums<double>({700, 500});                         // two, over all tiles
    check_sums<double>({1, 1, 2});                          // hardly any rows
    check_sums<float>({100, 28, 128, 300, 5, 5, 5, 260, 1});
}

TEST_CASE("twenty rows of tiles are taken in two batches") {
    const problem given = make_problem({500, 3, 3, 200, 90, 484}, 7);
    CHECK(plan_batches<double>(ceil_div(given.p.rows(), 64), 1).size() == 2);
    emulation<double> sums(given);
    sums.run(1, 4);
    sums.compare();
}

TEST_CASE("the kernel is the fastest that the device runs and the features allow") {
    CHECK(choose_kernel("", 512, 9, 0, true) == kernel::wgmma);
    CHECK(choose_kernel("auto", 512, 9, 0, false) == kernel::mma);
    CHECK(choose_kernel("", 512, 8, 0, true) == kernel::mma);
    CHECK(choose_kernel("", 512, 12, 0, true) == kernel::mma);
    CHECK(choose_kernel("", least_split_depth - 1, 9, 0, true) == kernel::simt);
    CHECK(choose_kernel("mma", 3, 9, 0, true) == kernel::mma);
    CHECK_THROWS(std::invalid_argument, "needs a device of compute capability 9.0",
                 choose_kernel("wgmma", 512, 10, 0, true));
    CHECK_THROWS(std::invalid_argument, "it must be auto, simt, mma or wgmma", choose_kernel("tma", 512, 9, 0, true));
}

TEST_CASE("messages say what is missing and what would do") {
    CHECK(driver_message(0, 13000) == "there is no NVIDIA driver on this machine (libcuda.so.1 is not found)");
    CHECK(driver_message(12020, 13000) ==
          "the NVIDIA driver supports CUDA 12.2 at most, and this build of zoorank needs a driver for CUDA 13 (580 or "
          "newer)");
    const std::int64_t gib = std::int64_t(1) << 30;
    CHECK(memory_message(40 * gib, 10 * gib, 1'000'000, "GPU") ==
          "GPU is out of memory: 1000000 rows need 40.00 GiB, 10.00 GiB are free, enough for about 250000 rows");
    CHECK(memory_message(gib + 1, gib, 100, "GPU").find("need 1.01 GiB, 1.00 GiB are free") != std::string::npos);
    CHECK(memory_message(gib, gib - 1, 100, "GPU").find("need 1.00 GiB, 0.99 GiB are free") != std::string::npos);
}
