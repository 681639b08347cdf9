#pragma once
// Silhouettes from the mean squared distances to classes: exact for squared Euclidean and cosine; with their roots in
// place of mean distances, the surrogate of an estimate.
#include <cstdint>
#include <vector>
#include <zoorank/options.hpp>
#include <zoorank/views.hpp>

#include "aligned_buffer.hpp"
#include "cpu/kernel_table.hpp"
#include "moments.hpp"
#include "packed_rows.hpp"

namespace zoorank {

/// A class, and the mean squared distance of some row to it, or its root.
struct class_distance {
    std::int64_t class_index;
    double distance;
};

class mean_search {
public:
    /// `roots` takes the root of each mean squared distance. `moments` stays where it is meanwhile.
    mean_search(const class_moments& moments, bool roots);

    /// Compares the rows of class c with the classes candidates[c * per_class], ..., [c * per_class + per_class - 1]
    /// alone. Empty (the default): with every class.
    void restrict_to(std::vector<std::int64_t> candidates, std::int64_t per_class);

    /// Writes s of each row of a block to samples[row]. Returns a row whose distances may have vanished
    /// (vanishing.hpp), or -1.
    template <class T>
    std::int64_t run(matrix_view<T> x, const partition& p, const row_frame<T>& frame, array_view<double> samples,
                     int threads, const options& opt) const;

    /// For each sorted position of a block, its own class and then the `nearest` other ones, nearest first: slot
    /// position * (nearest + 1) + 0, 1, ... of `found`. Compares with every class; `nearest` is less than classes.
    template <class T>
    void nearest_classes(matrix_view<T> x, const partition& p, const row_frame<T>& frame, std::int64_t nearest,
                         std::vector<class_distance>& found, int threads, const options& opt) const;

private:
    struct workspace;
    // Sorted positions that are compared with the same classes.
    struct row_group {
        std::int64_t begin, end;
        std::int64_t class_index;  // of all its rows; -1 where they are of several
    };
    std::vector<row_group> groups(const partition& p) const;
    template <class T>
    void load(workspace& space, matrix_view<T> x, const partition& p, const row_frame<T>& frame,
              const row_group& group) const;
    template <class Fold>
    void compare(workspace& space, std::int64_t rows, const packed_rows<double>& means, const std::int64_t* columns,
                 std::int64_t count, const std::int64_t* class_at, Fold fold) const;
    double own_square(const workspace& space, std::int64_t row, std::int64_t c) const;

    const class_moments& moments_;
    const cpu::kernel_set<double>& kernels_;
    const bool roots_;
    std::vector<double> centre_;  // of the means
    packed_rows<double> means_;   // every class
    std::vector<std::int64_t> every_class_, candidates_;
    std::int64_t per_class_ = 0;
};

}  // namespace zoorank
