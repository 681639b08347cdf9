// Single rows. Sums and converted values are double whatever the rows are; sums are kept in two vectors, since one
// would have to wait for its own last addition.

// As many elements as a vector of double holds, converted.
inline simd<double>::vec widened(const double* p) { return load(p); }

inline simd<double>::vec widened(const float* p) { return simd<double>::widened(p); }

template <class T>
bool load_row(const row_args<T>& args) {
    using vec = simd<double>::vec;
    constexpr std::int64_t width = simd<double>::width;
    const T *x = args.x, *centre = args.centre;  // copies: a store to z might change args, for all the compiler knows
    double* z = args.z;
    const std::int64_t count = args.count;
    const auto scale = static_cast<double>(args.scale);
    vec squares[2] = {};
    std::int64_t k = 0;
    for (; k + 2 * width <= count; k += 2 * width)
        for (std::int64_t half = 0; half < 2; ++half) {
            const std::int64_t at = k + half * width;
            vec value = widened(x + at) * scale;
            if (centre) value -= widened(centre + at);
            store(z + at, value);
            squares[half] += value * value;
        }
    double square = simd<double>::sum(squares[0] + squares[1]);
    for (; k < count; ++k) {
        z[k] = static_cast<double>(x[k]) * scale - (centre ? static_cast<double>(centre[k]) : 0);
        square += z[k] * z[k];
    }
    if (!args.unit_length) return true;
    if (square < 0x1p-900) return false;
    const double shrink = 1 / __builtin_sqrt(square);
    for (k = 0; k < count; ++k) z[k] *= shrink;
    return true;
}

template <class T>
double squared_distance(const T* x, const T* y, std::int64_t count) {
    using vec = simd<double>::vec;
    constexpr std::int64_t width = simd<double>::width;
    vec sums[2] = {};
    std::int64_t k = 0;
    for (; k + 2 * width <= count; k += 2 * width)
        for (std::int64_t half = 0; half < 2; ++half) {
            const vec difference = widened(x + k + half * width) - widened(y + k + half * width);
            sums[half] += difference * difference;
        }
    double total = simd<double>::sum(sums[0] + sums[1]);
    for (; k < count; ++k) {
        const double difference = static_cast<double>(x[k]) - static_cast<double>(y[k]);
        total += difference * difference;
    }
    return total;
}

// The bits of |x|, taken as an integer, order as |x| does, and above every finite value lie infinity and NaN.
template <class T>
T largest_magnitude(const T* x, std::int64_t count) {
    using index = typename simd<T>::index;
    using bits = decltype(index{}[0] + 0);
    constexpr std::int64_t width = simd<T>::width;
    constexpr bits second = bits(1) << (8 * sizeof(T) - 2), all_but_sign = second - 1 + second;
    index most{};
    std::int64_t k = 0;
    for (; k + width <= count; k += width) {
        index magnitude;
        __builtin_memcpy(&magnitude, x + k, sizeof magnitude);
        magnitude &= all_but_sign;
        most = magnitude > most ? magnitude : most;
    }
    bits largest = 0;
    for (std::int64_t lane = 0; lane < width; ++lane) largest = most[lane] > largest ? most[lane] : largest;
    for (; k < count; ++k) {
        bits magnitude;
        __builtin_memcpy(&magnitude, x + k, sizeof magnitude);
        magnitude &= all_but_sign;
        largest = magnitude > largest ? magnitude : largest;
    }
    T value;
    __builtin_memcpy(&value, &largest, sizeof value);
    return value;
}

// Sorts features of several rows lane by lane: every second pair of neighbours is put in order, then every other one,
// as often as there are rows. Quicker ways of sorting decide where to go by what they find, which lanes would not
// share.
template <class T>
void medians(const medians_args<T>& args) {
    using vec = typename simd<T>::vec;
    constexpr std::int64_t width = simd<T>::width;
    const std::int64_t rows = args.row_count;
    for (std::int64_t k = 0; k < args.features; k += width) {
        const std::int64_t lanes = args.features - k < width ? args.features - k : width;
        vec sorted[median_rows];
        for (std::int64_t r = 0; r < rows; ++r) {
            vec values{};
            __builtin_memcpy(&values, args.rows[r] + k, static_cast<std::size_t>(lanes) * sizeof(T));
            sorted[r] = values * args.scale;
        }
        for (std::int64_t round = 0; round < rows; ++round)
            for (std::int64_t r = round % 2; r + 1 < rows; r += 2) {
                const vec low = simd<T>::min(sorted[r], sorted[r + 1]);
                sorted[r + 1] = simd<T>::max(sorted[r], sorted[r + 1]);
                sorted[r] = low;
            }
        __builtin_memcpy(args.medians + k, &sorted[rows / 2], static_cast<std::size_t>(lanes) * sizeof(T));
    }
}
