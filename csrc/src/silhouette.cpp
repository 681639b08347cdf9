#include <zoorank/silhouette.hpp>

#include <numeric>
#include <stdexcept>
#include <string>

#include "methods.hpp"
#include "precision.hpp"
#include "pruning.hpp"
#include "thread_pool.hpp"

namespace zoorank {
namespace {

// Below this many multiplications a problem is too small to be shared out; whole problems are, instead.
constexpr double small_problem = 2e9;

// Whether Manhattan distances are better added up along sorted features than pair by pair. Measured with AVX-512: a
// pair and feature takes 0.014 ns in float and twice that in double; a row and feature takes 80 ns to sort and walk,
// and 1.1 ns a class.
template <class T>
bool sorting_pays(std::int64_t rows, std::int64_t classes) {
    const double pair_ns = 0.0035 * sizeof(T);
    return pair_ns * static_cast<double>(rows) > 80 + 1.1 * static_cast<double>(classes);
}

void check_lengths(std::int64_t rows, std::int64_t cols, std::int64_t labels, std::int64_t samples) {
    if (rows < 0) throw std::invalid_argument("X has " + std::to_string(rows) + " rows");
    if (cols < 1) throw std::invalid_argument("X has no features");
    if (labels != rows)
        throw std::invalid_argument("X has " + std::to_string(rows) + " rows and there are " + std::to_string(labels) +
                                    " labels");
    if (samples != rows)
        throw std::invalid_argument("X has " + std::to_string(rows) + " rows and there is room for " +
                                    std::to_string(samples) + " samples");
}

template <class T>
void solve(matrix_view<T> x, const partition& p, array_view<double> samples, metric how, int threads,
           const options& opt) {
    const metric_facts& facts = facts_of(how);
    if (facts.of == summand::none) return silhouettes_of_distances(x, p, samples, threads, opt);
    if (facts.from_means()) return silhouettes_by_means(x, p, how, samples, threads, opt);
    if (facts.of == summand::magnitude && sorting_pays<T>(x.rows, p.classes()))
        return silhouettes_by_sorting(x, p, samples, threads, opt);
    if (facts.of == summand::square && opt.pairs != pair_selection::all)
        return silhouettes_of_needed_pairs(x, p, kernels_for_pairs(x, p, how, opt), samples, threads, opt);
    silhouettes_by_pairs(x, p, how, kernels_for_pairs(x, p, how, opt), samples, threads, opt);
}

template <class T>
void samples_of(matrix_view<T> x, array_view<const std::int64_t> labels, array_view<double> samples, metric how,
                const options& opt) {
    check_precision(opt);
    check_lengths(x.rows, x.cols, labels.size, samples.size);
    if (opt.pairs_evaluated) *opt.pairs_evaluated = 0;
    solve(x, partition_by_class(labels), samples, how, resolve_threads(opt.threads), opt);
}

template <class T>
double score_of(matrix_view<T> x, array_view<const std::int64_t> labels, metric how, const options& opt) {
    std::vector<double> samples(static_cast<std::size_t>(x.rows));
    samples_of<T>(x, labels, samples, how, opt);
    return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

template <class T>
void batch_of(const std::vector<matrix_view<T>>& xs, array_view<const std::int64_t> labels,
              const std::vector<array_view<double>>& samples, const std::vector<metric>& hows, const options& opt) {
    const std::size_t metrics = hows.size();
    if (xs.size() * metrics != samples.size())
        throw std::invalid_argument(std::to_string(xs.size()) + " problems under " + std::to_string(metrics) +
                                    " metrics and room for " + std::to_string(samples.size()) + " results");
    check_precision(opt);
    for (std::size_t i = 0; i < samples.size(); ++i)
        check_lengths(xs[i / metrics].rows, xs[i / metrics].cols, labels.size, samples[i].size);
    const partition p = partition_by_class(labels);
    const int threads = resolve_threads(opt.threads);
    options within;  // a problem of its own: neither threads nor progress
    within.precision = opt.precision;
    within.pairs = opt.pairs;
    std::vector<std::size_t> small;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const matrix_view<T>& x = xs[i / metrics];
        const double n = static_cast<double>(x.rows);
        if (n * n * static_cast<double>(x.cols) < small_problem)
            small.push_back(i);
        else
            solve(x, p, samples[i], hows[i % metrics], threads, opt);
    }
    parallel_for(static_cast<std::int64_t>(small.size()), threads, static_cast<std::int64_t>(small.size()), opt,
                 [&](std::int64_t index, int worker, progress_meter& meter) {
                     const std::size_t i = small[static_cast<std::size_t>(index)];
                     solve(xs[i / metrics], p, samples[i], hows[i % metrics], 1, within);
                     meter.advance(1, worker);
                 });
}

}  // namespace

void silhouette_samples(matrix_view<float> x, array_view<const std::int64_t> labels, array_view<double> samples,
                        metric how, const options& opt) {
    samples_of(x, labels, samples, how, opt);
}

void silhouette_samples(matrix_view<double> x, array_view<const std::int64_t> labels, array_view<double> samples,
                        metric how, const options& opt) {
    samples_of(x, labels, samples, how, opt);
}

double silhouette_score(matrix_view<float> x, array_view<const std::int64_t> labels, metric how, const options& opt) {
    return score_of(x, labels, how, opt);
}

double silhouette_score(matrix_view<double> x, array_view<const std::int64_t> labels, metric how, const options& opt) {
    return score_of(x, labels, how, opt);
}

void silhouette_batch(const std::vector<matrix_view<float>>& xs, array_view<const std::int64_t> labels,
                      const std::vector<array_view<double>>& samples, const std::vector<metric>& hows,
                      const options& opt) {
    batch_of(xs, labels, samples, hows, opt);
}

void silhouette_batch(const std::vector<matrix_view<double>>& xs, array_view<const std::int64_t> labels,
                      const std::vector<array_view<double>>& samples, const std::vector<metric>& hows,
                      const options& opt) {
    batch_of(xs, labels, samples, hows, opt);
}

}  // namespace zoorank
