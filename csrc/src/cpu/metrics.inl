// One functor a metric. `step` folds one feature of a pair into its accumulator; where `from_products` is set the
// accumulator is the inner product g and the squared distance t = |x|^2 + |y|^2 - 2g, else it is the distance itself.

template <class T>
struct sqeuclidean {
    using vec = typename simd<T>::vec;
    static constexpr bool from_products = true;
    // A squared distance below this share of |x|^2 + |y|^2 has lost too many digits to cancellation: such pairs are
    // recomputed from differences of the original rows. Sums over more features have fewer digits to lose; of few
    // features, where many pairs are close, more are spared.
    static constexpr T cancellation_share(std::int64_t depth) { return T(1) / (depth < 32 ? 32 : 16); }
    static vec step(vec sum, T x, vec y) { return sum + x * y; }
    static vec value(vec t) { return simd<T>::max(t, vec{}); }
};

template <class T>
struct euclidean : sqeuclidean<T> {
    using vec = typename simd<T>::vec;
    static vec value(vec t) { return simd<T>::root(t); }
};

template <class T>
struct manhattan {
    using vec = typename simd<T>::vec;
    static constexpr bool from_products = false;
    static vec step(vec sum, T x, vec y) {
        const vec difference = x - y;
        return sum + simd<T>::max(difference, -difference);
    }
    static vec value(vec t) { return t; }
};

// A functor's value for one number; lane 0 of the vector form, so that both agree to the last bit.
template <class Metric, class T>
T scalar_value(T t) {
    return Metric::value(typename simd<T>::vec{} + t)[0];
}

// Unaligned access to a vector; memcpy is what GCC and Clang turn into one instruction.
template <class T>
typename simd<T>::vec load(const T* p) {
    typename simd<T>::vec v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
void store(T* p, typename simd<T>::vec v) {
    __builtin_memcpy(p, &v, sizeof v);
}

template <class T>
typename simd<T>::index lanes() {
    typename simd<T>::index i{};
    for (int lane = 0; lane < simd<T>::width; ++lane) i[lane] = lane;
    return i;
}

// Of each lane, whether its number is `first` or more.
template <class T>
auto lanes_from(std::int64_t first) {
    using lane = decltype(typename simd<T>::index{}[0] + 0);
    constexpr std::int64_t width = simd<T>::width;
    return lanes<T>() >= static_cast<lane>(first < 0 ? 0 : first < width ? first : width);
}

// Squared distance of two original rows, free of cancellation.
template <class T>
T direct_squared_distance(const operand<T>& a, std::int64_t i, const operand<T>& b, std::int64_t j, std::int64_t depth,
                          T scale) {
    using vec = typename simd<T>::vec;
    const T* x = a.x + (a.order ? a.order[i] : i) * a.stride;
    const T* y = b.x + (b.order ? b.order[j] : j) * b.stride;
    vec sum{};
    std::int64_t k = 0;
    for (; k + simd<T>::width <= depth; k += simd<T>::width) {
        const vec difference = load(x + k) * scale - load(y + k) * scale;
        sum += difference * difference;
    }
    T total = simd<T>::sum(sum);
    for (; k < depth; ++k) {
        const T difference = x[k] * scale - y[k] * scale;
        total += difference * difference;
    }
    return total;
}
