#include <algorithm>
#include <cstdlib>

#include "cuda/choice.hpp"
#include "cuda/methods.hpp"

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

template <class T>
kernel kernel_for(metric how, std::int64_t depth) {
    if (how != metric::euclidean || sizeof(T) == sizeof(double)) return kernel::simt;
    const char* wish = std::getenv("ZOORANK_CUDA_KERNEL");
    int device = 0, major = 0, minor = 0;
    check(cudaGetDevice(&device), "asking for the device");
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "asking for the device");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "asking for the device");
    return choose_kernel(wish ? wish : "", depth, major, minor, wgmma_built());
}

// How big everything is, before anything is allocated.
template <class T>
struct sizes {
    sizes(std::int64_t rows, std::int64_t depth, kernel which)
        : tiles(ceil_div(rows, tile_side<T>)),
          packed(which == kernel::simt ? tiles * tile_side<T> * panel::blocks<T>(depth) * 64
                                       : tiles * split::blocks(depth) * split::image_bytes),
          norms(tiles * tile_side<T>),
          batches(plan_batches<T>(tiles, partial_budget)) {
        for (const tile_batch& batch : batches) {
            partial = std::max(partial, batch.tiles() * bytes_per_tile<T>() / static_cast<std::int64_t>(sizeof(T)));
            joined = std::max(joined, joined_sums<T>(batch));
        }
    }
    std::int64_t bytes() const {
        return packed + (norms + partial) * static_cast<std::int64_t>(sizeof(T)) +
               joined * static_cast<std::int64_t>(sizeof(stretch_sums<double>)) +
               norms * static_cast<std::int64_t>(sizeof(walk_state) + 2 * sizeof(double));
    }

    std::int64_t tiles, packed, norms;
    std::vector<tile_batch> batches;
    std::int64_t partial = 0, joined = 0;
};

}  // namespace

template <class T>
void silhouettes_by_pairs(const input<T>& x, const partition& p, metric how, array_view<double> samples, place where,
                          const options& opt) {
    const cudaStream_t stream = where.stream;
    const std::int64_t n = x.view.rows;
    const kernel which = kernel_for<T>(how, x.view.cols);
    const sizes<T> size(n, x.view.cols, which);
    reserve(upload_bytes(x) + size.bytes() + device_partition::bytes(p), n);

    const device_rows<T> rows(x, stream);
    const T scale = rows.scale("X", stream);
    const device_partition labels(p, stream);
    // Manhattan needs no centre: nothing cancels there, and centring would round.
    std::vector<T> centre;
    if (how == metric::euclidean) centre = rows.centre(p.order.data(), n, scale, stream);
    const buffer<T> device_centre(centre, stream);
    const source_rows<T> source = rows.source(labels.order.get(), scale, device_centre.get());

    const buffer<unsigned char> packed(size.packed, stream);
    const buffer<T> norms(size.norms, stream), partial(size.partial, stream);
    if constexpr (sizeof(T) == sizeof(float)) {
        if (which == kernel::simt)
            pack_panels(source, reinterpret_cast<float*>(packed.get()), norms.get(), stream);
        else
            pack_split(source, packed.get(), norms.get(), stream);
    } else {
        pack_panels(source, reinterpret_cast<double*>(packed.get()), norms.get(), stream);
    }

    const buffer<std::int64_t> tile_classes(classes_of_tiles(p, tile_side<T>), stream);
    const buffer<stretch_sums<double>> joined(size.joined, stream);
    const buffer<walk_state> states(n, stream);
    const buffer<double> own(n, stream), result(n, stream);
    clear_states(states.get(), own.get(), n, stream);
    pacer pace(stream, opt);
    for (const tile_batch& batch : size.batches) {
        const sums_args<T> args{{packed.get(), norms.get(), source},
                                batch,
                                labels.class_begin.get(),
                                labels.class_of.get(),
                                tile_classes.get(),
                                partial.get(),
                                own.get()};
        if (how == metric::euclidean)
            sum_euclidean(which, args, stream);
        else
            sum_manhattan(args, stream);
        fold<T>({batch, n, labels.class_begin.get(), tile_classes.get(), labels.class_of.get(), partial.get(),
                 joined.get(), states.get(), own.get()},
                stream);
        const double left =
            static_cast<double>(size.tiles - batch.first - batch.rows) / static_cast<double>(size.tiles);
        pace.handed_in(1 - left * left);
    }
    finish(states.get(), own.get(), labels.class_begin.get(), labels.class_of.get(), labels.order.get(), n,
           result.get(), stream);
    to_host(samples.data, result.get(), n, stream);
}

template void silhouettes_by_pairs(const input<float>&, const partition&, metric, array_view<double>, place,
                                   const options&);
template void silhouettes_by_pairs(const input<double>&, const partition&, metric, array_view<double>, place,
                                   const options&);

}  // namespace zoorank::cuda
