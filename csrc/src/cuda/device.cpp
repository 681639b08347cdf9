#include "cuda/device.hpp"

#include "cuda/messages.hpp"

namespace zoorank::cuda {
namespace {

device_info describe(int index) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, index), "asking for the properties of a device");
    return {index,
            properties.name,
            properties.major,
            properties.minor,
            properties.multiProcessorCount,
            static_cast<std::int64_t>(properties.totalGlobalMem)};
}

std::string words_for(cudaError_t status) {
    const std::string words = cudaGetErrorString(status);
    if (status == cudaErrorInitializationError)
        return words + " (a process that was forked off after CUDA was used cannot use it: start processes with spawn)";
    if (status == cudaErrorNoKernelImageForDevice)
        return words + " (zoorank was built for other devices: see ZOORANK_CUDA_ARCHITECTURES)";
    return words;
}

// Fills `found` with the usable devices, or returns why there are none.
std::string look(std::vector<device_info>& found) {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaErrorInsufficientDriver || status == cudaErrorStubLibrary) {
        int driver = 0, runtime = 0;
        cudaDriverGetVersion(&driver);
        cudaRuntimeGetVersion(&runtime);
        return driver_message(driver, runtime);
    }
    if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0))
        return "there is an NVIDIA driver and no CUDA device (CUDA_VISIBLE_DEVICES may hide one)";
    if (status != cudaSuccess) return "CUDA does not start: " + words_for(status);
    std::string unsuited;
    for (int index = 0; index < count; ++index) {
        const device_info device = describe(index);
        if (device.major >= least_major)
            found.push_back(device);
        else
            unsuited = device.name + " has compute capability " + std::to_string(device.major) + "." +
                       std::to_string(device.minor) + "; zoorank needs " + std::to_string(least_major) + ".0 or newer";
    }
    return found.empty() ? unsuited : "";
}

}  // namespace

std::string unavailable_reason() {
    std::vector<device_info> found;
    return look(found);
}

std::vector<device_info> devices() {
    std::vector<device_info> found;
    const std::string reason = look(found);
    if (!reason.empty()) throw std::runtime_error(reason);
    return found;
}

int device_of(std::uintptr_t address) {
    cudaPointerAttributes attributes;
    check(cudaPointerGetAttributes(&attributes, reinterpret_cast<const void*>(address)), "asking for an address");
    if (attributes.type != cudaMemoryTypeDevice && attributes.type != cudaMemoryTypeManaged)
        throw std::invalid_argument("the array's memory is not that of a CUDA device");
    return attributes.device;
}

void wait_for(int device, cudaStream_t stream) {
    const current_device guard(device);
    check(cudaStreamSynchronize(stream), "waiting for a stream");
}

capability capability_of(int device) {
    capability found{};
    check(cudaDeviceGetAttribute(&found.major, cudaDevAttrComputeCapabilityMajor, device), "asking for the device");
    check(cudaDeviceGetAttribute(&found.minor, cudaDevAttrComputeCapabilityMinor, device), "asking for the device");
    return found;
}

void reserve(std::int64_t needed, std::int64_t rows) {
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for free memory");
    if (needed <= static_cast<std::int64_t>(free)) return;
    // What the last call gave back still counts as taken until somebody waits for the device.
    int index = 0;
    cudaMemPool_t pool = nullptr;
    check(cudaGetDevice(&index), "asking for the device");
    check(cudaDeviceGetDefaultMemPool(&pool, index), "asking for the memory pool");
    check(cudaDeviceSynchronize(), "waiting for the device");
    check(cudaMemPoolTrimTo(pool, 0), "giving memory back");
    check(cudaMemGetInfo(&free, &total), "asking for free memory");
    if (needed <= static_cast<std::int64_t>(free)) return;
    throw out_of_memory(memory_message(needed, static_cast<std::int64_t>(free), rows, describe(index).name));
}

void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // an error that can be survived must not be found again by the next call
    const std::string message = std::string("CUDA, ") + what + ": " + words_for(status);
    if (status == cudaErrorMemoryAllocation) throw out_of_memory(message);
    throw std::runtime_error(message);
}

current_device::current_device(int index) {
    check(cudaGetDevice(&former_), "asking for the device");
    if (index != former_) check(cudaSetDevice(index), "choosing the device");
}

current_device::~current_device() { cudaSetDevice(former_); }

}  // namespace zoorank::cuda
