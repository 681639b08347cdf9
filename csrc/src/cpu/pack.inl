// Rows -> panels: `width` rows side by side, one feature after the other, centred and scaled. One layout serves both
// sides of a product: the column side loads whole vectors of it, the row side broadcasts single elements.

inline std::int64_t packed_row(std::int64_t depth) { return depth; }

// Squared lengths of the rows of a panel, all at once: one row alone would wait for each of its additions.
template <class T>
void panel_norms(const T* panel, std::int64_t depth, T* norms) {
    constexpr std::int64_t width = simd<T>::width;
    double squares[width] = {};
    for (std::int64_t k = 0; k < depth; ++k)
        for (std::int64_t r = 0; r < width; ++r) {
            const auto value = static_cast<double>(panel[k * width + r]);
            squares[r] += value * value;
        }
    for (std::int64_t r = 0; r < width; ++r) norms[r] = static_cast<T>(squares[r]);
}

template <class T>
void pack(const pack_args<T>& args) {
    constexpr std::int64_t width = simd<T>::width;
    for (std::int64_t first = 0; first < args.rows; first += width) {
        T* panel = args.packed + first * args.depth;
        for (std::int64_t r = 0; r < width; ++r) {
            const std::int64_t row = first + r;
            if (row >= args.rows) {
                for (std::int64_t k = 0; k < args.depth; ++k) panel[k * width + r] = 0;
                continue;
            }
            const T *x = args.x + (args.order ? args.order[row] : row) * args.stride, *centre = args.centre;
            const T scale = args.scale;
            const std::int64_t depth = args.depth;
            if (centre)
                for (std::int64_t k = 0; k < depth; ++k) panel[k * width + r] = x[k] * scale - centre[k];
            else
                for (std::int64_t k = 0; k < depth; ++k) panel[k * width + r] = x[k] * scale;
        }
        panel_norms(panel, args.depth, args.norms + first);
    }
}
