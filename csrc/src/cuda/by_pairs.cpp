#include <algorithm>
#include <optional>

#include "cuda/methods.hpp"
#include "precision.hpp"
#include "vanishing.hpp"

namespace zoorank::cuda {
namespace {

// Partial sums of the tiles of one launch. A quarter of a gigabyte holds 87 000 tiles of float, a third of a second of
// work with 512 features, and is written and read a hundred times faster than that.
constexpr std::int64_t partial_budget = std::int64_t(256) << 20;

std::vector<std::int64_t> classes_of_tiles(const partition& p, std::int64_t side) {
    const std::vector<std::int64_t> class_at = class_of_position(p);
    std::vector<std::int64_t> classes;
    for (std::int64_t begin = 0; begin < p.rows(); begin += side) {
        classes.push_back(class_at[static_cast<std::size_t>(begin)]);
        classes.push_back(class_at[static_cast<std::size_t>(std::min(begin + side, p.rows()) - 1)]);
    }
    return classes;
}

// What the CPU asks before it takes bf16x3, of rows that may lie on a device: the few that are looked at are copied.
bool split_suffices(const input<float>& x, const partition& p, cudaStream_t stream) {
    if (!x.on_device) return bf16x3_suffices(x.view, p);
    const std::int64_t depth = x.view.cols;
    std::vector<std::int64_t> looked_at = centre_rows(p.rows());
    const std::vector<std::int64_t> judged = judged_rows(p.rows(), depth);
    looked_at.insert(looked_at.end(), judged.begin(), judged.end());
    partition few = p;  // whose order names rows of the copy
    std::fill(few.order.begin(), few.order.end(), 0);
    std::vector<float> rows(3 * looked_at.size() * static_cast<std::size_t>(depth));
    std::int64_t copied = 0;
    for (const std::int64_t position : looked_at)
        for (std::int64_t near = std::max<std::int64_t>(position - 1, 0); near < std::min(position + 2, p.rows());
             ++near) {
            const auto at = static_cast<std::size_t>(near);
            check(cudaMemcpyAsync(rows.data() + copied * depth, x.view.row(p.order[at]),
                                  static_cast<std::size_t>(depth) * sizeof(float), cudaMemcpyDeviceToHost, stream),
                  "copying rows to the host");
            few.order[at] = copied++;
        }
    check(cudaStreamSynchronize(stream), "copying rows to the host");
    return bf16x3_suffices({rows.data(), copied, depth}, few);
}

// Tensor cores only where their split keeps s within 5e-6, or where they are insisted on.
template <class T>
kernel kernel_for(const input<T>& x, const partition& p, metric how, place where) {
    if constexpr (sizeof(T) == sizeof(float)) {
        if (facts_of(how).of != summand::square) return kernel::simt;
        const kernel which = euclidean_kernel_of(x.view.cols, where.device);
        if (which == kernel::simt || kernel_is_forced() || split_suffices(x, p, where.stream)) return which;
    }
    return kernel::simt;
}

// Sorted rows, scaled, centred and packed once for the kernel that reads them.
template <class T>
class packed_rows {
public:
    packed_rows(const source_rows<T>& from, kernel which, cudaStream_t stream)
        : from_(from), packed_(size(from.rows, from.depth, which), stream), norms_(padded<T>(from.rows), stream) {
        if constexpr (sizeof(T) == sizeof(float)) {
            if (which != kernel::simt) {
                pack_split(from, packed_.get(), norms_.get(), stream);
                return;
            }
        }
        pack_panels(from, reinterpret_cast<T*>(packed_.get()), norms_.get(), stream);
    }

    operand<T> side() const { return {packed_.get(), norms_.get(), from_}; }

    static std::int64_t bytes(std::int64_t rows, std::int64_t depth, kernel which) {
        return size(rows, depth, which) + padded<T>(rows) * static_cast<std::int64_t>(sizeof(T));
    }

private:
    static std::int64_t size(std::int64_t rows, std::int64_t depth, kernel which) {
        if (which == kernel::simt) return padded<T>(rows) * panel::blocks<T>(depth) * 64;
        return padded<T>(rows) / tile_side<T> * split::blocks(depth) * split::image_bytes;
    }

    source_rows<T> from_;
    buffer<unsigned char> packed_;
    buffer<T> norms_;
};

// The batches of a launch each, and the room for what they write; sized before anything is allocated.
template <class T>
struct sums_plan {
    explicit sums_plan(std::vector<tile_batch> all) : batches(std::move(all)) {
        for (const tile_batch& batch : batches) {
            partial = std::max(partial, batch.tiles() * bytes_per_tile<T>() / static_cast<std::int64_t>(sizeof(T)));
            joined = std::max(joined, joined_sums<T>(batch));
        }
    }
    std::int64_t bytes(std::int64_t rows) const {
        return partial * static_cast<std::int64_t>(sizeof(T)) +
               joined * static_cast<std::int64_t>(sizeof(stretch_sums<double>)) +
               rows * static_cast<std::int64_t>(sizeof(walk_state) + 2 * sizeof(double));
    }

    std::vector<tile_batch> batches;
    std::int64_t partial = 0, joined = 0;
};

// What the classes of rows are, on the device: rows[i] is the class of row i of the tiles, order[i] where its s goes.
struct row_classes {
    const std::int64_t *of_row, *order;
};

// Mean distances that are less may have lost what they are made of. Roots of squares below 2^-126 are 0 in float32
// (ptx.cuh): of a mean of 2^-43, distances of 2^-63 are a millionth.
template <class T>
constexpr double vanishing_mean = sizeof(T) == 4 ? 0x1p-43 : vanishing_distance<T>;

// Computes the tiles of a plan and writes s of each row to `samples`, in host memory. Returns the first place there of
// a row whose distances may have vanished.
template <class T>
std::optional<std::int64_t> silhouettes_of_tiles(const sums_plan<T>& plan, kernel which, const operand<T>& rows,
                                                 const operand<T>& cols, const row_classes& classes,
                                                 const device_partition& labels, const partition& p, metric how,
                                                 array_view<double> samples, cudaStream_t stream, const options& opt) {
    const std::int64_t count = rows.from.rows;
    const buffer<std::int64_t> tile_classes(classes_of_tiles(p, tile_side<T>), stream);
    const buffer<T> partial(plan.partial, stream);
    const buffer<stretch_sums<double>> joined(plan.joined, stream);
    const buffer<walk_state> states(count, stream);
    const buffer<double> own(count, stream), result(count, stream);
    clear_states(states.get(), own.get(), count, stream);
    const bool of_squares = facts_of(how).of == summand::square;
    pacer pace(stream, opt);
    std::int64_t done = 0, all = 0;
    for (const tile_batch& batch : plan.batches) all += batch.tiles();
    for (const tile_batch& batch : plan.batches) {
        const sums_args<T> args{
            rows, cols, batch, labels.class_begin.get(), classes.of_row, tile_classes.get(), partial.get(), own.get()};
        switch (facts_of(how).of) {
            case summand::square:
                sum_euclidean(which, args, stream);
                break;
            case summand::magnitude:
                sum_manhattan(args, stream);
                break;
            case summand::none:
                throw std::logic_error("a metric that is not added up pair by pair");
        }
        fold<T>({batch, count, cols.from.rows, labels.class_begin.get(), tile_classes.get(), classes.of_row,
                 partial.get(), joined.get(), states.get(), own.get()},
                stream);
        done += batch.tiles();
        pace.handed_in(static_cast<double>(done) / static_cast<double>(all));
    }
    const first_row vanished(stream);
    finish({states.get(), own.get(), labels.class_begin.get(), classes.of_row, classes.order, count, result.get(),
            of_squares ? vanishing_mean<T> : 0, vanished.get()},
           stream);
    to_host(samples.data, result.get(), count, stream);
    return vanished.found(stream);
}

// What both ways need first: the rows, sorted, scaled and centred.
template <class T>
struct prepared_rows {
    prepared_rows(const input<T>& x, const partition& p, metric how, cudaStream_t stream)
        : rows(x, "X", stream), scale(rows.scale()), labels(p, stream) {
        // Magnitudes need no centre: nothing cancels there, and centring would round.
        if (facts_of(how).of == summand::square)
            centre = buffer<T>(rows.centre(p.order.data(), p.rows(), scale, stream), stream);
    }

    source_rows<T> sorted() const { return rows.source(labels.order.get(), scale, centre.get()); }

    checked_rows<T> rows;
    T scale;
    device_partition labels;
    buffer<T> centre;
};

}  // namespace

template <class T>
void silhouettes_by_pairs(const input<T>& x, const partition& p, metric how, array_view<double> samples, place where,
                          const options& opt) {
    const std::int64_t n = x.view.rows, depth = x.view.cols;
    const kernel which = kernel_for(x, p, how, where);
    const sums_plan<T> plan(plan_batches<T>(ceil_div(n, tile_side<T>), partial_budget));
    reserve(upload_bytes(x) + device_partition::bytes(p) + packed_rows<T>::bytes(n, depth, which) + plan.bytes(n), n);
    const prepared_rows<T> ready(x, p, how, where.stream);
    const packed_rows<T> packed(ready.sorted(), which, where.stream);
    const auto row = silhouettes_of_tiles(plan, which, packed.side(), packed.side(),
                                          {ready.labels.class_of.get(), ready.labels.order.get()}, ready.labels, p, how,
                                          samples, where.stream, opt);
    if (row) ready.rows.require_distances(*row);
}

template <class T>
void silhouettes_of_some(const input<T>& x, const partition& p, array_view<const std::int64_t> drawn,
                         const std::vector<std::int64_t>& classes_of_drawn, metric how, array_view<double> samples,
                         place where, const options& opt) {
    const cudaStream_t stream = where.stream;
    const std::int64_t n = x.view.rows, depth = x.view.cols, count = drawn.size;
    const kernel which = kernel_for(x, p, how, where);
    const sums_plan<T> plan(
        plan_rectangle<T>(ceil_div(count, tile_side<T>), ceil_div(n, tile_side<T>), partial_budget));
    reserve(upload_bytes(x) + device_partition::bytes(p) + packed_rows<T>::bytes(n, depth, which) +
                packed_rows<T>::bytes(count, depth, which) + 16 * count + plan.bytes(count),
            n);
    const prepared_rows<T> ready(x, p, how, stream);
    const packed_rows<T> cols(ready.sorted(), which, stream);
    const buffer<std::int64_t> indices(std::vector<std::int64_t>(drawn.data, drawn.data + count), stream);
    const buffer<std::int64_t> classes(classes_of_drawn, stream);
    source_rows<T> from = ready.sorted();
    from.order = indices.get();
    from.rows = count;
    const packed_rows<T> rows(from, which, stream);
    const auto place = silhouettes_of_tiles(plan, which, rows.side(), cols.side(), {classes.get(), nullptr},
                                            ready.labels, p, how, samples, stream, opt);
    if (place) ready.rows.require_distances(drawn[*place]);
}

#define ZOORANK_INSTANTIATE(T)                                                                               \
    template void silhouettes_by_pairs(const input<T>&, const partition&, metric, array_view<double>, place, \
                                       const options&);                                                      \
    template void silhouettes_of_some(const input<T>&, const partition&, array_view<const std::int64_t>,     \
                                      const std::vector<std::int64_t>&, metric, array_view<double>, place,   \
                                      const options&);
ZOORANK_INSTANTIATE(float)
ZOORANK_INSTANTIATE(double)

}  // namespace zoorank::cuda
