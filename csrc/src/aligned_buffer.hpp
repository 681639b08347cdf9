#pragma once
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace zoorank {

/// Uninitialised memory that begins a cache line. `slack` elements past the end may be read by whole vectors.
template <class T>
class aligned_buffer {
public:
    static constexpr std::int64_t slack = 128 / sizeof(T);

    aligned_buffer() = default;
    explicit aligned_buffer(std::int64_t count) {
        const std::size_t bytes = (static_cast<std::size_t>(count + slack) * sizeof(T) + 63) / 64 * 64;
        data_.reset(static_cast<T*>(std::aligned_alloc(64, bytes)));
        if (!data_) throw std::bad_alloc();
    }

    T* data() noexcept { return data_.get(); }
    const T* data() const noexcept { return data_.get(); }

private:
    struct deleter {
        void operator()(T* p) const noexcept { std::free(p); }
    };
    std::unique_ptr<T, deleter> data_;
};

}  // namespace zoorank
