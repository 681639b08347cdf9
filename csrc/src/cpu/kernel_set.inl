// Included once per instruction set, inside its unnamed namespace, after `simd<T>` is defined there.

#include "cpu/metrics.inl"
#include "cpu/transpose.inl"

#include "cpu/pack.inl"
#include "cpu/peak.inl"
#include "cpu/product.inl"

#include "cpu/bounds.inl"
#include "cpu/chosen.inl"
#include "cpu/rows.inl"
#include "cpu/store.inl"
#include "cpu/sums.inl"
#include "cpu/sweep.inl"

template <class T>
constexpr kernel_set<T> make_kernel_set() {
    return {simd<T>::width,
            240,  // 5 x 48, 10 x 24, 20 x 12: whole register tiles of every set
            &packed_row,
            &pack<T>,
            &sum_block<T, euclidean<T>>,
            &sum_block<T, manhattan<T>>,
            &store_block<T, euclidean<T>>,
            &store_block<T, sqeuclidean<T>>,
            &store_block<T, manhattan<T>>,
            &multiply<T>,
            &multiply_chosen<T>,
            &screen<T>,
            &sum_roots<T>,
            &sweep<T>,
            &load_row<T>,
            &squared_distance<T>,
            &largest_magnitude<T>,
            &medians<T>,
            &multiply_adds<T>,
            2 * peak_chains * simd<T>::width};
}
