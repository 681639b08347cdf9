#include "mean_search.hpp"
#include "methods.hpp"
#include "scaling.hpp"
#include "thread_pool.hpp"
#include "vanishing.hpp"

namespace zoorank {

template <class T>
void silhouettes_by_means(matrix_view<T> x, const partition& p, metric how, array_view<double> samples, int threads,
                          const options& opt) {
    row_frame<T> frame;
    frame.scale = checked_scale(x, "X", threads, opt);
    frame.directions = facts_of(how).directions;
    if (!frame.directions) frame.centre = robust_centre(x, p.order.data(), x.rows, frame.scale);
    class_moments moments(p.classes(), x.cols);
    // What the first pass reported would be gone back on by the second, longer one.
    moments.add(x, p, frame, threads, without_fraction(opt));
    const std::int64_t row = mean_search(moments, false).run(x, p, frame, samples, threads, opt);
    if (row >= 0 && !frame.directions && !differences_last(least_magnitude(x), frame.scale)) refuse_vanished<T>(row);
}

template void silhouettes_by_means(matrix_view<float>, const partition&, metric, array_view<double>, int,
                                   const options&);
template void silhouettes_by_means(matrix_view<double>, const partition&, metric, array_view<double>, int,
                                   const options&);

}  // namespace zoorank
