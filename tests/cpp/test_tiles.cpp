// The algorithm for a matrix unit that multiplies bf16, on any processor: over an emulation of the tile instructions;
// and where there are such instructions, that they do the same.
#include <math.h>
#include <zoorank/options.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "aligned_buffer.hpp"
#include "check.hpp"
#include "cpu/kernel_table.hpp"
#include "cpu/kernels.hpp"
#include "methods.hpp"
#include "packed_rows.hpp"
#include "partition.hpp"
#include "precision.hpp"
#include "problem.hpp"

namespace zoorank::cpu {
namespace {

#include "cpu/simd_portable.inl"

#include "cpu/kernel_set.inl"

#include "cpu/tile_emulation.inl"

#include "cpu/tiles.inl"

}  // namespace

// Not a constant: the unused members of the set for vectors are then no cause for warnings.
const kernel_set<float>& emulated_tiles() {
    static const kernel_set<float> set = make_tile_set();
    return set;
}

}  // namespace zoorank::cpu

namespace {

using check::problem;
using zoorank::metric;
using zoorank::cpu::emulated_tiles;
using zoorank::cpu::kernel_set;

constexpr double tolerance = 5e-6;

// The tiles of this processor, or none.
const kernel_set<float>* native_tiles() {
    for (const zoorank::cpu::kernel_table* table : zoorank::cpu::supported_kernels())
        if (table->bf16x3.pack) return &table->bf16x3;
    return nullptr;
}

std::vector<const kernel_set<float>*> all_tiles() {
    std::vector<const kernel_set<float>*> all{&emulated_tiles()};
    if (native_tiles()) all.push_back(native_tiles());
    return all;
}

std::vector<double> samples_of(const problem<float>& p, const kernel_set<float>& kernels, int threads) {
    std::vector<double> samples(p.labels.size(), -9);
    zoorank::silhouettes_by_pairs(p.view(), zoorank::partition_by_class(p.labels), metric::euclidean, kernels, samples,
                                  threads, {});
    return samples;
}

void check_against_definition(const problem<float>& p) {
    const std::vector<double> expected = check::by_definition(p, metric::euclidean);
    for (const kernel_set<float>* kernels : all_tiles()) {
        const std::vector<double> one_thread = samples_of(p, *kernels, 1);
        double worst = 0;
        for (std::size_t i = 0; i < expected.size(); ++i)
            worst = std::max(worst, std::abs(one_thread[i] - expected[i]));
        CHECK_CLOSE(worst, 0, tolerance);
        CHECK(samples_of(p, *kernels, 3) == one_thread);
    }
}

// Applies change(value, row, class, feature) to every value.
template <class Change>
problem<float> changed(problem<float> p, Change change) {
    for (std::int64_t i = 0; i < p.rows; ++i)
        for (std::int64_t f = 0; f < p.cols; ++f) {
            float& value = p.values[static_cast<std::size_t>(i * p.stride + f)];
            const auto c = static_cast<double>((p.labels[static_cast<std::size_t>(i)] + 7) / 10);
            value = static_cast<float>(change(static_cast<double>(value), i, c, f));
        }
    return p;
}

bool suffices(const problem<float>& p) {
    return zoorank::bf16x3_suffices(p.view(), zoorank::partition_by_class(p.labels));
}

// All distances between the rows of two problems.
std::vector<float> distances_of(const problem<float>& p, const problem<float>& q, const kernel_set<float>& kernels,
                                void (*store)(const zoorank::cpu::store_args<float>&)) {
    zoorank::packed_rows<float> a(kernels, p.rows, p.cols), b(kernels, q.rows, q.cols);
    a.pack(p.values.data(), p.stride, nullptr, p.rows, 1, nullptr);
    b.pack(q.values.data(), q.stride, nullptr, q.rows, 1, nullptr);
    std::vector<float> out(static_cast<std::size_t>(p.rows * q.rows), -9.0F);
    zoorank::aligned_buffer<float> products(zoorank::cpu::scratch_size);
    store({{a.block(0, p.rows), b.block(0, q.rows), p.cols, 1, products.data()}, out.data(), q.rows});
    return out;
}

}  // namespace

TEST_CASE("bf16 is rounded to nearest, ties to even") {
    using zoorank::cpu::from_bf16;
    using zoorank::cpu::to_bf16;
    CHECK(from_bf16(to_bf16(1.0F)) == 1.0F);
    CHECK(from_bf16(to_bf16(1.0F + 0x1p-8F)) == 1.0F);
    CHECK(from_bf16(to_bf16(1.0F + 0x3p-8F)) == 1.0F + 0x1p-6F);
    CHECK(from_bf16(to_bf16(1.0F + 0x1.1p-8F)) == 1.0F + 0x1p-7F);
    CHECK(from_bf16(to_bf16(-1.0F - 0x1.1p-8F)) == -1.0F - 0x1p-7F);
    CHECK(from_bf16(to_bf16(1.0F - 0x1p-10F)) == 1.0F);
}

TEST_CASE("tiles: samples are the definition's, for any number of features") {
    for (const std::int64_t d : {31, 32, 33, 64, 100}) check_against_definition(problem<float>(67, d, 3, 1));
    for (const std::int64_t d : {255, 257, 513, 1100}) check_against_definition(problem<float>(70, d, 3, 2));
}

TEST_CASE("tiles: samples are the definition's, for any sizes of classes") {
    for (const std::int64_t classes : {2, 5, 40, 66}) check_against_definition(problem<float>(67, 40, classes, 3));
    for (const std::int64_t n : {3, 31, 32, 33, 64, 65}) check_against_definition(problem<float>(n, 40, 2, 4));
    check_against_definition(problem<float>(700, 33, 2, 5));   // classes larger than a block
    check_against_definition(problem<float>(700, 33, 35, 6));  // tiles that several classes share
}

TEST_CASE("tiles: no cancellation, wherever the rows lie") {
    const problem<float> plain(130, 48, 4, 7);
    check_against_definition(changed(plain, [](double x, auto, auto, auto) { return x + 1e4; }));
    const auto along = [](double c, std::int64_t f) { return std::sin(c * 10 + static_cast<double>(f)); };
    check_against_definition(changed(plain, [&](double x, auto, double c, auto f) { return x + 1e4 * along(c, f); }));
    check_against_definition(changed(plain, [&](double x, auto, double c, auto f) { return x + 4 * along(c, f); }));
    check_against_definition(changed(plain, [&](double x, auto, double c, auto f) { return 1e-3 * x + along(c, f); }));
    check_against_definition(changed(plain, [](double x, auto i, auto, auto) { return i < 2 ? 1e5 : x; }));
    check_against_definition(changed(plain, [](double x, auto i, auto, auto) { return i % 5 == 0 ? 0.0 : x; }));
    check_against_definition(changed(plain, [](auto, auto, auto, auto) { return 1.0; }));
    check_against_definition(changed(plain, [](double x, auto, auto, auto) { return 1e30 * x; }));
    check_against_definition(changed(plain, [](double x, auto, auto, auto) { return 1e-30 * x; }));
}

TEST_CASE("tiles: taken where a few distances and the smallest class allow it") {
    const problem<float> plain(600, 64, 3, 13);
    CHECK(suffices(plain));
    check_against_definition(plain);
    CHECK(!suffices(problem<float>(511, 64, 3, 13)));
    CHECK(!suffices(problem<float>(600, 31, 3, 13)));
    CHECK(!suffices(changed(plain, [](double x, auto, auto, auto f) { return f == 5 ? 1e4 * x : x; })));
    CHECK(!suffices(changed(plain, [](auto, auto i, auto, auto) { return std::sin(static_cast<double>(i)); })));
    const double nan = std::nan("");
    CHECK(!suffices(changed(plain, [&](double x, auto, auto, auto f) { return f == 5 ? nan : x; })));
}

TEST_CASE("tiles: a mean of few distances wants better ones") {
    // The same rows in classes of 200, and in classes of two.
    problem<float> p(600, 64, 3, 13);
    CHECK(suffices(p));
    for (std::size_t i = 0; i < p.labels.size(); ++i) p.labels[i] = static_cast<std::int64_t>(i / 2);
    CHECK(!suffices(p));
}

TEST_CASE("tiles: equal rows are at distance 0") {
    problem<float> p(90, 40, 3, 8);
    for (std::int64_t i = 30; i < 90; ++i)
        std::copy_n(p.values.begin() + (i - 30) * p.stride, p.cols, p.values.begin() + i * p.stride);
    check_against_definition(p);
    for (const kernel_set<float>* kernels : all_tiles()) {
        const std::vector<float> squares = distances_of(p, p, *kernels, kernels->store_sqeuclidean);
        for (std::size_t i = 0; i < 90; ++i) CHECK(squares[i * 90 + i] == 0);
        for (std::size_t i = 30; i < 90; ++i) CHECK(squares[i * 90 + i - 30] == 0);
    }
}

TEST_CASE("tiles: each distance is the definition's") {
    const problem<float> p(45, 70, 3, 9), q(83, 70, 4, 10);
    for (const kernel_set<float>* kernels : all_tiles()) {
        const std::vector<float> roots = distances_of(p, q, *kernels, kernels->store_euclidean);
        const std::vector<float> squares = distances_of(p, q, *kernels, kernels->store_sqeuclidean);
        for (std::int64_t i = 0; i < p.rows; ++i)
            for (std::int64_t j = 0; j < q.rows; ++j) {
                const double expected = check::distance(p.view().row(i), q.view().row(j), p.cols, metric::euclidean);
                const auto at = static_cast<std::size_t>(i * q.rows + j);
                CHECK_CLOSE(static_cast<double>(roots[at]) / expected, 1, 5e-6);
                CHECK_CLOSE(static_cast<double>(squares[at]) / (expected * expected), 1, 1e-5);
            }
    }
}

TEST_CASE("tiles: the processor's products are those of the emulation") {
    const kernel_set<float>* const native = native_tiles();
    if (!native) return;
    const problem<float> p(64, 600, 3, 11), q(96, 600, 4, 12);
    const std::vector<float> emulated = distances_of(p, q, emulated_tiles(), emulated_tiles().store_sqeuclidean);
    const std::vector<float> actual = distances_of(p, q, *native, native->store_sqeuclidean);
    double worst = 0;
    for (std::size_t i = 0; i < actual.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(actual[i]) / static_cast<double>(emulated[i]) - 1));
    CHECK_CLOSE(worst, 0, 1e-6);
    std::cout << "tiles of this processor, largest difference from the emulation: " << worst << '\n';
}

TEST_CASE("tiles: the loop that measures their peak ends with a number") {
    for (const kernel_set<float>* kernels : all_tiles()) CHECK(kernels->multiply_adds(3, 0.5F, 0.5F) > 0);
}
