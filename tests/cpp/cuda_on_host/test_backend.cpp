// The whole CUDA backend, kernels included, compiled for the host and held against the CPU engine. See emulator.hpp for
// what that finds and what it cannot.
#include "../../cuda/backend_checks.hpp"
#include "../check.hpp"
#include "controls.hpp"
#include "cuda/device.hpp"
#include "cuda/limits.hpp"
#include "emulator.hpp"

using namespace backend_checks;

namespace {

template <class Body>
void with_checker(const Body& body) {
    for (const auto how : {emulator::copies::early, emulator::copies::late}) {
        emulator::copying = how;
        checker check({0, nullptr}, [](const result& found) { CHECK_CLOSE(found.error, 0.0, found.allowed); });
        body(check);
        CHECK(check.count() > 0 && check.wrong() == 0);
    }
}

// More tiles than one, more stages than a ring has, rows and features that fill neither.
const std::vector<sizes> split_sizes{{130, 64, 3}, {270, 161, 70}};

}  // namespace

TEST_CASE("mma.sync: layouts, stages and sums") {
    with_checker([](checker& check) { check_kernel(check, "mma", split_sizes); });
}

TEST_CASE("wgmma: descriptors, barriers, stages and sums") {
    with_checker([](checker& check) { check_kernel(check, "wgmma", split_sizes); });
}

TEST_CASE("ordinary cores, float32") {
    with_checker([](checker& check) {
        check_kernel(check, "simt", {{130, 5, 3}, {300, 70, 120}});
        check_others<float>(check, {{200, 19, 5}, {140, 9, 100}});
    });
}

TEST_CASE("ordinary cores, float64") {
    with_checker([](checker& check) { check_others<double>(check, {{150, 19, 5}, {140, 9, 100}}); });
}

TEST_CASE("lengths of rows may differ by all that a type holds") {
    with_checker([](checker& check) {
        check_lengths<float>(check, {150, 19, 5});
        check_lengths<double>(check, {150, 19, 5});
    });
}

TEST_CASE("squared distances of rows whose own squares are too large") {
    const auto check_size = [](auto large, auto apart) {
        using T = decltype(large);
        const std::vector<T> values{large, 0, large, apart};
        const cuda::input<T> rows{{values.data(), 2, 2}, false};
        std::vector<T> out(4);
        cuda::pairwise_distances<T>(rows, rows, {out.data(), 4}, metric::sqeuclidean, {0, nullptr}, {});
        CHECK(out[0] == 0 && out[3] == 0);
        CHECK_CLOSE(out[1] / apart / apart, 1, 1e-6);
        CHECK(out[1] == out[2]);
    };
    check_size(0x1p+125F, 0x1p+50F);
    check_size(0x1p+1020, 0x1p+500);
}

TEST_CASE("rows may lie apart, overlap and run backwards") {
    constexpr std::int64_t rows = 70, depth = 9, apart = 17;
    std::vector<float> values(rows * apart);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * i % 101);
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < rows; ++i) labels.push_back(i % 4);
    const float* last = values.data() + (rows - 1) * apart;
    for (const matrix_view<float>& x :
         {matrix_view<float>(values.data(), rows, depth, apart), matrix_view<float>(values.data(), rows, depth, 1),
          matrix_view<float>(values.data(), rows, depth, 0), matrix_view<float>(last, rows, depth, -apart)}) {
        std::vector<double> found(rows), wide, wanted(rows);
        for (std::int64_t i = 0; i < rows; ++i) wide.insert(wide.end(), x.row(i), x.row(i) + depth);
        cuda::silhouette_samples<float>({x, false}, {labels.data(), rows}, {found.data(), rows}, metric::manhattan,
                                        {0, nullptr}, {});
        silhouette_samples(matrix_view<double>(wide.data(), rows, depth), {labels.data(), rows}, {wanted.data(), rows},
                           metric::manhattan);
        CHECK_CLOSE(largest_difference(found, wanted), 0.0, 5e-6);
    }
}

TEST_CASE("references that fit nothing are refused") {
    const problem<float> given({60, 5, 3});
    std::vector<double> s(60), errors(60);
    const auto refused = [&](const char* what, const drawn_sets& sets) {
        CHECK_THROWS(std::invalid_argument, what,
                     cuda::reference_samples<float>({given.x(), false}, given.y(), sets.view(), {s.data(), 60},
                                                    {errors.data(), 60}, {0, nullptr}, {}));
    };
    drawn_sets sets(given, {0, 30, 60});
    sets.indices.back() = 60;
    refused("reference 60 is none of the 60 rows", sets);
    sets = drawn_sets(given, {0, 30, 60});
    sets.indices.pop_back();
    refused("references do not make 2 sets of one size", sets);
    sets = drawn_sets(given, {0, 30, 59});
    refused("bounds begin with 0, ascend and end with 60", sets);
    sets = drawn_sets(given, {0, 60});
    sets.drawn.back() = 2;
    refused("or at least 3", sets);
}

TEST_CASE("memory that the last call gave back is free") {
    constexpr std::int64_t half = 1 << 27;
    const std::int64_t before = emulated_cuda_get("memory");
    emulated_cuda_set("memory", 2 * half);
    {
        const cuda::buffer<char> most(half + 1, nullptr);
        CHECK_THROWS(cuda::out_of_memory, "emulated on the host is out of memory: 7 rows need 0.13 GiB",
                     cuda::reserve(half, 7));
    }
    cuda::reserve(half, 7);
    emulated_cuda_set("memory", before);
}

TEST_CASE("the emulator does what a stream is to do when somebody waits for it") {
    const auto stream = [] { return reinterpret_cast<cudaStream_t>(emulated_cuda_stream(0)); };
    const cudaStream_t one = stream(), other = stream(), by_default = nullptr;
    const int value = 7, poison = -1;
    const auto put = [&](int* there, cudaStream_t on) {
        cuda::check(cudaMemcpyAsync(there, &value, sizeof value, cudaMemcpyHostToDevice, on), "copying");
    };
    const cuda::buffer<int> first(1, one), second(1, by_default);
    put(first.get(), one);
    cuda::check(cudaStreamSynchronize(other), "waiting");
    CHECK(*first.get() == poison);
    put(second.get(), by_default);  // waits for all that came before it, on any stream
    cuda::check(cudaStreamSynchronize(other), "waiting");
    CHECK(*first.get() == value && *second.get() == value);
    const auto unknown = reinterpret_cast<cudaStream_t>(std::uintptr_t(12345));
    CHECK_THROWS(std::runtime_error, "invalid resource handle", cuda::buffer<int>(1, unknown));
}

TEST_CASE("distances to no rows") {
    const std::vector<float> values(6, 1.0f);
    const cuda::input<float> some{{values.data(), 2, 3}, false}, none{{values.data(), 0, 3}, false};
    std::vector<float> out;
    cuda::pairwise_distances<float>(some, none, {out.data(), 0}, metric::euclidean, {0, nullptr}, {});
    cuda::pairwise_distances<float>(none, some, {out.data(), 0}, metric::cosine, {0, nullptr}, {});
}

TEST_CASE("limits count what their loops do") {
    // On one multiprocessor, and every loop takes a millisecond by the emulator's clock.
    const cuda::device_limits found = cuda::measure_limits({0, nullptr}, {3, 16, 1 << 14, 0});
    CHECK_CLOSE(found.bfloat16, 2 * 2.0 * 128 * 128 * 64 * 3 / 1e-3, 1);  // wgmma's, which does more
    CHECK_CLOSE(found.float32, 4 * 2 * 16 * 256 * 16 / 1e-3, 1);
    CHECK_CLOSE(found.float64, 4 * 2 * 16 * 256 * 2 / 1e-3, 1);
    CHECK_CLOSE(found.copy, 2 * (1 << 14) / 1e-3, 1);
}
