#include "mean_search.hpp"
#include "methods.hpp"
#include "scaling.hpp"

namespace zoorank {

template <class T>
void silhouettes_by_means(matrix_view<T> x, const partition& p, metric how, array_view<double> samples, int threads,
                          const options& opt) {
    row_frame<T> frame;
    frame.scale = checked_scale(x, "X");
    frame.directions = how == metric::cosine;
    if (!frame.directions) frame.centre = robust_centre(x, p.order.data(), x.rows, frame.scale);
    class_moments moments(p.classes(), x.cols);
    options first_pass = opt;
    first_pass.progress = nullptr;  // what it reports would be gone back on by the second, longer pass
    moments.add(x, p, frame, threads, first_pass);
    mean_search(moments, false).run(x, p, frame, samples, threads, opt);
}

template void silhouettes_by_means(matrix_view<float>, const partition&, metric, array_view<double>, int,
                                   const options&);
template void silhouettes_by_means(matrix_view<double>, const partition&, metric, array_view<double>, int,
                                   const options&);

}  // namespace zoorank
