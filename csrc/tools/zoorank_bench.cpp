// Every kernel through the C++ API: checked against the definition, then timed, beside what this machine can do.
// What benchmarks/kernels.py measures through Python, for machines without one.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <zoorank/build_info.hpp>
#include <zoorank/limits.hpp>
#include <zoorank/silhouette.hpp>

namespace {

using zoorank::metric;
using zoorank::summand;

constexpr const char* usage =
    "usage: zoorank_bench [--quick] [--csv] [--threads N] [--n N] [--d D,...] [--classes K,...]\n"
    "Silhouettes of N samples with D features in K classes, for every metric in float and double.\n";

struct arguments {
    bool quick = false, csv = false;
    int threads = 1;
    std::int64_t n = 4000;
    std::vector<std::int64_t> d{64, 512, 2048}, classes{10, 1000};
};

std::vector<std::int64_t> numbers(const std::string& text, const std::string& option) {
    std::vector<std::int64_t> all;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        const std::string part = text.substr(begin, end - begin);
        if (part.empty() || part.size() > 9 || part.find_first_not_of("0123456789") != std::string::npos ||
            std::stoll(part) < 1)
            throw std::invalid_argument(option + " '" + text + "' is not whole numbers from 1, such as 64,512");
        all.push_back(std::stoll(part));
        begin = end + 1;
    }
    return all;
}

arguments parse(const std::vector<std::string>& given) {
    arguments chosen;
    for (std::size_t i = 0; i < given.size(); ++i) {
        const std::string& option = given[i];
        if (option == "--quick") {
            chosen.quick = true;
            continue;
        }
        if (option == "--csv") {
            chosen.csv = true;
            continue;
        }
        if (option != "--threads" && option != "--n" && option != "--d" && option != "--classes")
            throw std::invalid_argument("unknown option '" + option + "'");
        if (i + 1 == given.size()) throw std::invalid_argument(option + " needs a value");
        const std::vector<std::int64_t> values = numbers(given[++i], option);
        if (option == "--threads") chosen.threads = static_cast<int>(values.front());
        if (option == "--n") chosen.n = values.front();
        if (option == "--d") chosen.d = values;
        if (option == "--classes") chosen.classes = values;
    }
    if (chosen.quick) {
        chosen.n = 500;
        chosen.d = {64};
        chosen.classes = {10};
    }
    for (const std::int64_t classes : chosen.classes)
        if (classes < 2 || classes >= chosen.n)
            throw std::invalid_argument("classes must be from 2 to n - 1 = " + std::to_string(chosen.n - 1));
    return chosen;
}

// Overlapping classes, each with a member.
template <class T>
struct problem {
    problem(std::int64_t n, std::int64_t d, std::int64_t classes)
        : rows(n), cols(d), values(static_cast<std::size_t>(n * d)), labels(static_cast<std::size_t>(n)) {
        std::mt19937_64 generator(0);
        std::normal_distribution<double> normal;
        std::vector<double> centres(static_cast<std::size_t>(classes * d));
        for (double& value : centres) value = 0.5 * normal(generator);
        for (std::int64_t i = 0; i < n; ++i) {
            const std::int64_t c = i % classes;
            labels[static_cast<std::size_t>(i)] = c;
            for (std::int64_t f = 0; f < d; ++f)
                values[static_cast<std::size_t>(i * d + f)] =
                    static_cast<T>(normal(generator) + centres[static_cast<std::size_t>(c * d + f)]);
        }
    }

    zoorank::matrix_view<T> view() const { return {values.data(), rows, cols}; }

    std::int64_t rows, cols;
    std::vector<T> values;
    std::vector<std::int64_t> labels;
};

template <class T>
double distance(const T* x, const T* y, std::int64_t d, metric how, double x_length, double y_length) {
    double sum = 0;
    for (std::int64_t f = 0; f < d; ++f) {
        const double difference = x[f] / x_length - y[f] / y_length;
        sum += facts_of(how).of == summand::square ? difference * difference : std::abs(difference);
    }
    if (facts_of(how).directions) return sum / 2;
    return facts_of(how).root ? std::sqrt(sum) : sum;
}

// The silhouette coefficient of one row, pair by pair in double, from differences.
template <class T>
double by_definition(const problem<T>& p, std::int64_t row, metric how, std::int64_t classes,
                     const std::vector<double>& lengths) {
    std::vector<double> sums(static_cast<std::size_t>(classes)), sizes(static_cast<std::size_t>(classes));
    const auto length = [&](std::int64_t i) {
        return facts_of(how).directions ? lengths[static_cast<std::size_t>(i)] : 1.0;
    };
    for (std::int64_t j = 0; j < p.rows; ++j) {
        const auto c = static_cast<std::size_t>(p.labels[static_cast<std::size_t>(j)]);
        sizes[c] += 1;
        sums[c] += distance(p.view().row(row), p.view().row(j), p.cols, how, length(row), length(j));
    }
    const auto own = static_cast<std::size_t>(p.labels[static_cast<std::size_t>(row)]);
    if (sizes[own] == 1) return 0;
    const double a = sums[own] / (sizes[own] - 1);
    double b = std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < sums.size(); ++c)
        if (c != own) b = std::min(b, sums[c] / sizes[c]);
    return std::max(a, b) > 0 ? (b - a) / std::max(a, b) : 0;
}

template <class T>
double largest_error(const problem<T>& p, metric how, std::int64_t classes, const std::vector<double>& samples) {
    std::vector<double> lengths;
    for (std::int64_t i = 0; i < p.rows; ++i) {
        double square = 0;
        for (std::int64_t f = 0; f < p.cols; ++f) square += std::pow(static_cast<double>(p.view().row(i)[f]), 2);
        lengths.push_back(std::sqrt(square));
    }
    double worst = 0;
    constexpr std::int64_t checked = 16;
    for (std::int64_t k = 0; k < checked; ++k) {
        const std::int64_t row = k * (p.rows - 1) / (checked - 1);
        const double error =
            std::abs(samples[static_cast<std::size_t>(row)] - by_definition(p, row, how, classes, lengths));
        if (!(error <= worst)) worst = error;  // NaN too
    }
    return worst;
}

double median_seconds(const std::function<void()>& work) {
    std::vector<double> times;
    double total = 0;
    while (times.size() < 3 || (total < 0.3 && times.size() < 200)) {
        const auto begin = std::chrono::steady_clock::now();
        work();
        times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        total += times.back();
    }
    std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
    return times[times.size() / 2];
}

struct limits {
    double f32, f64, read;
};

// The least time of the quickest way: class means in double for squared Euclidean and cosine, each pair once for the
// others, whose flops name the rate.
double bound_seconds(double n, double d, double classes, metric how, bool is_float, double& flops, const limits& best) {
    const bool means = facts_of(how).from_means();
    flops = means ? 2 * n * classes * d : n * n * d;
    const double rate = is_float && !means ? best.f32 : best.f64;
    double seconds = flops / rate;
    // Pairs without multiply-adds, or features sorted: a multiply-add and an addition for each class.
    if (facts_of(how).of == summand::magnitude) seconds = std::min(2 * seconds, 4 * n * classes * d / best.f64);
    return std::max(seconds, n * d * (is_float ? 4 : 8) / best.read);
}

// One line of the table; false if the kernel is wrong, which then is not timed.
template <class T>
bool measure(const arguments& chosen, std::int64_t d, std::int64_t classes, metric how, const limits& best) {
    const bool is_float = sizeof(T) == 4;
    const problem<T> p(chosen.n, d, classes);
    std::vector<double> samples(static_cast<std::size_t>(chosen.n));
    zoorank::options opt;
    opt.threads = chosen.threads;
    const auto run = [&] { zoorank::silhouette_samples(p.view(), p.labels, samples, how, opt); };
    run();
    const double error = largest_error(p, how, classes, samples);
    const bool right = error <= (is_float ? 5e-6 : 1e-12);

    const double seconds = right ? median_seconds(run) : std::numeric_limits<double>::quiet_NaN();
    const double n = static_cast<double>(chosen.n);
    double flops = 0;
    const double bound =
        bound_seconds(n, static_cast<double>(d), static_cast<double>(classes), how, is_float, flops, best);
    const char* const line = chosen.csv ? "%s,%s,%lld,%lld,%lld,%.6g,%.6g,%.4g,%.4g,%.4g,%.2e\n"
                                        : "%-11s %-6s %7lld %5lld %6lld %10.4g %10.4g %7.3g %8.4g %9.3g %8.1e\n";
    std::printf(line, facts_of(how).name, is_float ? "float" : "double", static_cast<long long>(chosen.n),
                static_cast<long long>(d), static_cast<long long>(classes), seconds, bound, 100 * bound / seconds,
                flops / seconds / 1e9, n * (n - 1) / 2 / seconds / 1e9, error);
    std::fflush(stdout);
    return right;
}

int bench(const arguments& chosen) {
    const zoorank::build_info_t build = zoorank::build_info();
    limits best{std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN(),
                zoorank::read_rate(chosen.threads)};
    const char* const comment = chosen.csv ? "# " : "";
    std::printf("%szoorank %s, %s, %s, threads: %d\n", comment, build.version.c_str(), build.compiler.c_str(),
                build.instruction_set.c_str(), chosen.threads);
    for (const zoorank::arithmetic_rate& rate : zoorank::arithmetic_rates(chosen.threads)) {
        std::printf("%smultiply-adds, %s: %.1f GFLOP/s in float, %.1f in double\n", comment,
                    rate.instruction_set.c_str(), rate.f32 / 1e9, rate.f64 / 1e9);
        if (rate.bf16x3 > 0)
            std::printf("%sproducts as bf16x3, %s: %.1f GFLOP/s in float\n", comment, rate.instruction_set.c_str(),
                        rate.bf16x3 / 1e9);
        if (rate.instruction_set == build.instruction_set) {
            best.f32 = rate.f32;
            best.f64 = rate.f64;
        }
    }
    std::printf("%smemory: %.1f GB/s read\n", comment, best.read / 1e9);
    std::printf(chosen.csv ? "metric,type,n,d,classes,seconds,bound_seconds,limit_percent,gflops,gpairs,error\n"
                           : "\nmetric      type         n     d classes    seconds      bound  limit%%  GFLOP/s  "
                             "Gpairs/s    error\n");
    int wrong = 0;
    for (const zoorank::metric_facts& facts : zoorank::metrics) {
        if (facts.of == summand::none) continue;
        const metric how = zoorank::parse_metric(facts.name);
        for (const std::int64_t d : chosen.d)
            for (const std::int64_t classes : chosen.classes) {
                wrong += !measure<float>(chosen, d, classes, how, best);
                wrong += !measure<double>(chosen, d, classes, how, best);
            }
    }
    if (wrong) std::fprintf(stderr, "zoorank_bench: %d kernels are wrong\n", wrong);
    return wrong ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> given(argv + 1, argv + argc);
    try {
        if (std::find(given.begin(), given.end(), "--help") != given.end()) {
            std::fputs(usage, stdout);
            return 0;
        }
        return bench(parse(given));
    } catch (const std::invalid_argument& error) {
        std::fprintf(stderr, "zoorank_bench: %s\n", error.what());
        return 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "zoorank_bench: %s\n", error.what());
        return 1;
    }
}
