#include <algorithm>

#include "cuda/methods.hpp"
#include "thread_pool.hpp"
#include "vanishing.hpp"

namespace zoorank::cuda {
namespace {

// Distances that are on the device at a time.
constexpr std::int64_t slab_elements = std::int64_t(64) << 20;

// Rows packed for the kernels that store distances; unit rows for cosine.
template <class T>
class packed_side {
public:
    packed_side(const source_rows<T>& from, bool directions, cudaStream_t stream)
        : units_(directions ? from.rows : 0, stream),
          directions_(directions ? from.rows * from.depth : 0, stream),
          packed_(padded<T>(from.rows) * panel::blocks<T>(from.depth) * panel::features<T>, stream),
          norms_(padded<T>(from.rows), stream),
          from_(from) {
        if (directions) {
            find_units(from, units_.get(), stream);
            to_directions(from, units_.get(), directions_.get(), stream);
            from_ = {directions_.get(), from.depth, nullptr, from.rows, from.depth, T(1), from.centre};
        }
        pack_panels(from_, packed_.get(), norms_.get(), stream);
    }

    operand<T> rows() const { return {packed_.get(), norms_.get(), from_}; }
    const unit_factors* units() const { return units_.get(); }

    static std::int64_t bytes(std::int64_t rows, std::int64_t depth, bool directions) {
        const auto element = static_cast<std::int64_t>(sizeof(T));
        return padded<T>(rows) * (panel::blocks<T>(depth) * 64 + element) +
               (directions ? rows * (depth * element + 16) : 0);
    }

private:
    buffer<unit_factors> units_;
    buffer<T> directions_, packed_, norms_;
    source_rows<T> from_;
};

// Rows in host memory: borrowed where they lie there, else a copy.
template <class T>
class host_rows {
public:
    host_rows(const input<T>& x, cudaStream_t stream) : view_(x.view) {
        if (!x.on_device) return;
        copy_.resize(static_cast<std::size_t>(x.view.rows * x.view.cols));
        for (std::int64_t i = 0; i < x.view.rows; ++i)
            to_host(copy_.data() + i * x.view.cols, x.view.row(i), x.view.cols, stream);
        view_ = matrix_view<T>(copy_.data(), x.view.rows, x.view.cols);
    }

    const matrix_view<T>& view() const { return view_; }

private:
    matrix_view<T> view_;
    std::vector<T> copy_;
};

// What a stored value has to be multiplied by, twice: the scale of the rows taken out again, and half for cosine. Two
// factors, because the square of one may be too large where the distance is not.
template <class T>
store_args<T> to_store(const packed_side<T>& rows, const packed_side<T>& columns, T* out, std::int64_t stride,
                       metric how, T scale) {
    store_args<T> args{rows.rows(),        columns.rows(), out,          stride,
                       facts_of(how).root, {T(0.5), T(1)}, rows.units(), columns.units()};
    if (facts_of(how).directions) return args;
    args.factors[0] = 1 / scale;
    if (facts_of(how).from_means()) args.factors[1] = 1 / scale;
    return args;
}

}  // namespace

template <class T>
void pairwise_distances(input<T> x, input<T> y, array_view<T> out, metric how, place where, const options& opt) {
    const metric_facts& facts = facts_of(how);
    if (facts.of == summand::none)
        throw std::invalid_argument("metric '" + std::string(facts.name) + "' has no rows to compare");
    const std::int64_t n = x.view.rows, m = y.view.rows, depth = x.view.cols;
    if (depth != y.view.cols)
        throw std::invalid_argument("X has " + std::to_string(depth) + " features and Y has " +
                                    std::to_string(y.view.cols));
    if (depth < 1) throw std::invalid_argument("X has no features");
    if (out.size != n * m)
        throw std::invalid_argument("room for " + std::to_string(out.size) + " distances, need " +
                                    std::to_string(n * m));
    const current_device guard(where.device);
    const cudaStream_t stream = where.stream;
    const bool directions = facts.directions;
    const std::int64_t slab =
        std::min(n, std::max<std::int64_t>(tile_side<T>, slab_elements / std::max<std::int64_t>(m, 1)));
    reserve(upload_bytes(x) + upload_bytes(y) + packed_side<T>::bytes(m, depth, directions) +
                packed_side<T>::bytes(slab, depth, directions) + slab * m * static_cast<std::int64_t>(sizeof(T)),
            n + m);

    const checked_rows<T> left(x, "X", stream), right(y, "Y", stream);
    const T scale = std::min(left.scale(), right.scale());
    if (out.size == 0) return;
    // A centre is taken from the rows of Y as they are multiplied; unit rows lie around the origin anyway.
    const bool of_differences = facts.of == summand::square && !directions;
    std::vector<T> centre;
    if (of_differences) {
        std::vector<std::int64_t> every(static_cast<std::size_t>(m));
        std::iota(every.begin(), every.end(), 0);
        centre = right.centre(every.data(), m, scale, stream);
    }
    const buffer<T> device_centre(centre, stream);
    const packed_side<T> columns(right.source(nullptr, scale, device_centre.get()), directions, stream);
    const buffer<T> distances(slab * m, stream);
    pacer pace(stream, opt);
    for (std::int64_t begin = 0; begin < n; begin += slab) {
        source_rows<T> part = left.source(nullptr, scale, device_centre.get());
        part.x += begin * part.stride;
        part.rows = std::min(slab, n - begin);
        const packed_side<T> rows(part, directions, stream);
        const store_args<T> args = to_store(rows, columns, distances.get(), m, how, scale);
        switch (facts.of) {
            case summand::square:
                store_squares(args, stream);
                break;
            case summand::magnitude:
                store_manhattan(args, stream);
                break;
            case summand::none:
                throw std::logic_error("a metric that has no rows to compare");
        }
        to_host(out.data + begin * m, distances.get(), part.rows * m, stream);
        pace.handed_in(static_cast<double>(begin + part.rows) / static_cast<double>(n));
    }
    if (of_differences && !differences_last(std::min(left.least(), right.least()), scale))
        restore_vanished(host_rows<T>(x, stream).view(), host_rows<T>(y, stream).view(), out, how, scale,
                         resolve_threads(opt.threads), opt);
}

template void pairwise_distances(input<float>, input<float>, array_view<float>, metric, place, const options&);
template void pairwise_distances(input<double>, input<double>, array_view<double>, metric, place, const options&);

}  // namespace zoorank::cuda
