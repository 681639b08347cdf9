// Rows -> panels: `width` rows side by side, one feature after the other, centred and scaled. One layout serves both
// sides of a product: the column side loads whole vectors of it, the row side broadcasts single elements.

inline std::int64_t packed_row(std::int64_t depth) { return depth; }

template <class T>
void pack(const pack_args<T>& args) {
    constexpr std::int64_t width = simd<T>::width;
    for (std::int64_t first = 0; first < args.rows; first += width) {
        T* panel = args.packed + first * args.depth;
        for (std::int64_t r = 0; r < width; ++r) {
            const std::int64_t row = first + r;
            if (row >= args.rows) {
                for (std::int64_t k = 0; k < args.depth; ++k) panel[k * width + r] = 0;
                args.norms[row] = 0;
                continue;
            }
            const T* x = args.x + (args.order ? args.order[row] : row) * args.stride;
            double norm = 0;
            for (std::int64_t k = 0; k < args.depth; ++k) {
                const T value = x[k] * args.scale - (args.centre ? args.centre[k] : T(0));
                panel[k * width + r] = value;
                norm += static_cast<double>(value) * static_cast<double>(value);
            }
            args.norms[row] = static_cast<T>(norm);
        }
    }
}
