#pragma once
// What the rest of the backend needs of the CUDA runtime: errors in one line, memory that frees itself, a device made
// current for as long as a call lasts.
#include <cuda_runtime_api.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace zoorank::cuda {

/// Oldest compute capability with kernels here.
inline constexpr int least_major = 8;

struct device_info {
    int index;
    std::string name;
    int major, minor, multiprocessors;
    std::int64_t memory;  ///< bytes
};

/// Why no device can be used, in one line; empty when one can.
std::string unavailable_reason();

/// Every device that can be used. Throws std::runtime_error with unavailable_reason() when there is none.
std::vector<device_info> devices();

/// The device whose memory that address is. Throws std::invalid_argument for memory of no device.
int device_of(std::uintptr_t address);

/// Waits until a stream of a device has done its work.
void wait_for(int device, cudaStream_t stream);

struct capability {
    int major, minor;
};
capability capability_of(int device);

/// A call that does not fit on the device; the message says what would.
struct out_of_memory : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Throws out_of_memory when `needed` bytes, which grow in proportion to `rows`, are not free on the current device.
void reserve(std::int64_t needed, std::int64_t rows);

/// Throws std::runtime_error naming what was done, unless `status` is a success.
void check(cudaError_t status, const char* what);

/// After a kernel launch.
inline void check_launch(const char* what) { check(cudaGetLastError(), what); }

/// Makes a device current, and the former one again at the end.
class current_device {
public:
    explicit current_device(int index);
    ~current_device();
    current_device(const current_device&) = delete;
    current_device& operator=(const current_device&) = delete;

private:
    int former_ = 0;
};

/// Uninitialised memory of the current device, taken and given back in the order of a stream.
template <class T>
class buffer {
public:
    buffer() = default;
    buffer(std::int64_t count, cudaStream_t stream) : stream_(stream) {
        if (count == 0) return;
        void* memory = nullptr;
        check(cudaMallocAsync(&memory, static_cast<std::size_t>(count) * sizeof(T), stream), "allocating memory");
        data_ = static_cast<T*>(memory);
    }
    buffer(const std::vector<T>& values, cudaStream_t stream)
        : buffer(static_cast<std::int64_t>(values.size()), stream) {
        if (values.empty()) return;
        // From pageable memory: the runtime has read `values` when this returns.
        check(cudaMemcpyAsync(data_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice, stream),
              "copying to the device");
    }
    buffer(buffer&& other) noexcept : data_(other.data_), stream_(other.stream_) { other.data_ = nullptr; }
    buffer& operator=(buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(stream_, other.stream_);
        return *this;
    }
    ~buffer() {
        if (data_) cudaFreeAsync(data_, stream_);
    }

    T* get() const noexcept { return data_; }

private:
    T* data_ = nullptr;
    cudaStream_t stream_ = nullptr;
};

/// Copies `count` values to the host and waits for them.
template <class T>
void to_host(T* out, const T* values, std::int64_t count, cudaStream_t stream) {
    check(cudaMemcpyAsync(out, values, static_cast<std::size_t>(count) * sizeof(T), cudaMemcpyDeviceToHost, stream),
          "copying to the host");
    check(cudaStreamSynchronize(stream), "computing");
}

}  // namespace zoorank::cuda
