// The functions of the CUDA runtime, by what its manual says of them.
#include <cstdio>
#include <vector>

#include "machine.hpp"

using emulator::current;
using emulator::locked_machine;

struct event_tag {
    cudaStream_t stream;
    std::int64_t before;  // number of the first work that it does not wait for
};

namespace {

thread_local cudaError_t last_error = cudaSuccess;

cudaError_t failed(cudaError_t error) { return last_error = error; }

cudaError_t check_stream(const locked_machine& machine, cudaStream_t stream) {
    constexpr std::uintptr_t per_thread = 2;
    if (machine->fault != cudaSuccess) return failed(machine->fault);
    if (reinterpret_cast<std::uintptr_t>(stream) <= per_thread) return cudaSuccess;
    const auto found = machine->streams.find(stream);
    const bool usable = found != machine->streams.end() && found->second == current;
    return usable ? cudaSuccess : failed(cudaErrorInvalidResourceHandle);
}

cudaError_t wait_for(const locked_machine& machine, cudaStream_t stream, std::int64_t before) {
    emulator::drain(stream, before);
    return machine->fault == cudaSuccess ? cudaSuccess : failed(machine->fault);
}

struct rectangle {
    std::size_t width, height;
};

void copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, const rectangle& size) {
    for (std::size_t row = 0; row < size.height; ++row)
        std::memcpy(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch,
                    size.width);
}

// From pageable memory a copy has read everything when the call returns; to such memory it is complete.
cudaError_t copy(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, const rectangle& size,
                 cudaMemcpyKind kind, cudaStream_t stream) {
    const locked_machine machine;
    if (const cudaError_t error = check_stream(machine, stream)) return error;
    if (size.width == 0 || size.height == 0) return cudaSuccess;
    const bool to_device = kind == cudaMemcpyHostToDevice;
    const std::size_t extent = (size.height - 1) * (to_device ? to_pitch : from_pitch) + size.width;
    if (!emulator::on_current_device(to_device ? to : from, extent) || emulator::allocation_at(to_device ? from : to))
        return failed(cudaErrorInvalidValue);
    if (!to_device) {
        if (const cudaError_t error = wait_for(machine, stream, machine->next_number)) return error;
        copy_rows(to, to_pitch, from, from_pitch, size);
        return cudaSuccess;
    }
    std::vector<char> read(size.width * size.height);
    copy_rows(read.data(), size.width, from, from_pitch, size);
    emulator::put(stream, true,
                  [=, read = std::move(read)] { copy_rows(to, to_pitch, read.data(), size.width, size); });
    return cudaSuccess;
}

}  // namespace

cudaError_t emulator::enqueue(cudaStream_t stream, std::function<void()> kernel) {
    const locked_machine machine;
    if (const cudaError_t error = check_stream(machine, stream)) return error;
    if (machine->strikes("failing_launch")) return failed(cudaErrorLaunchOutOfResources);
    ++machine->launches;
    machine->last_stream = stream;
    machine->last_device = current;
    if (machine->strikes("faulting_launch")) kernel = [] { locked_machine()->fault = cudaErrorIllegalAddress; };
    put(stream, true, std::move(kernel));
    return cudaSuccess;
}

// Devices

cudaError_t cudaDriverGetVersion(int* version) {
    *version = static_cast<int>(locked_machine()->settings["driver"]);
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = emulator::runtime_version, cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* count) {
    const locked_machine machine;
    machine->used = true;
    if (machine->fault != cudaSuccess) return failed(machine->fault);
    if (machine->settings["driver"] < emulator::runtime_version) return failed(cudaErrorInsufficientDriver);
    *count = static_cast<int>(machine->settings["devices"]);
    return *count > 0 ? cudaSuccess : failed(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int* device) { return *device = current, cudaSuccess; }
cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= locked_machine()->settings["devices"]) return failed(cudaErrorInvalidDevice);
    return current = device, cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* found, int) {
    const locked_machine machine;
    *found = {"emulated on the host", static_cast<int>(machine->settings["major"]),
              static_cast<int>(machine->settings["minor"]), 1, machine->memory()};
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int device) {
    cudaDeviceProp properties;
    cudaGetDeviceProperties(&properties, device);
    *value = which == cudaDevAttrMultiProcessorCount      ? properties.multiProcessorCount
             : which == cudaDevAttrComputeCapabilityMajor ? properties.major
                                                          : properties.minor;
    return cudaSuccess;
}
cudaError_t cudaGetLastError() {
    const locked_machine machine;
    return std::exchange(last_error, machine->fault);
}
const char* cudaGetErrorString(cudaError_t error) {
    static const std::map<cudaError_t, const char*> words{
        {cudaErrorInvalidValue, "invalid argument"},
        {cudaErrorMemoryAllocation, "out of memory"},
        {cudaErrorInitializationError, "initialization error"},
        {cudaErrorInvalidConfiguration, "invalid configuration argument"},
        {cudaErrorInvalidPitchValue, "invalid pitch argument"},
        {cudaErrorInvalidDevice, "invalid device ordinal"},
        {cudaErrorInvalidResourceHandle, "invalid resource handle"},
        {cudaErrorIllegalAddress, "an illegal memory access was encountered"},
        {cudaErrorLaunchOutOfResources, "too many resources requested for launch"}};
    const auto found = words.find(error);
    return found == words.end() ? "unrecognized error code" : found->second;
}

// Memory

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* found, const void* address) {
    const locked_machine machine;
    const emulator::allocation* there = emulator::allocation_at(address);
    *found = there ? cudaPointerAttributes{cudaMemoryTypeDevice, there->device}
                   : cudaPointerAttributes{cudaMemoryTypeUnregistered, -2};
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    const locked_machine machine;
    const emulator::device_counts& device = machine->devices[current];
    *total = machine->memory();
    *free = *total - std::min(*total, device.taken + device.given_back);
    return machine->fault == cudaSuccess ? cudaSuccess : failed(machine->fault);
}
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t stream) {
    const locked_machine machine;
    if (const cudaError_t error = check_stream(machine, stream)) return error;
    emulator::device_counts& device = machine->devices[current];
    if (machine->strikes("failing_allocation") || bytes + device.taken > machine->memory())
        return failed(cudaErrorMemoryAllocation);
    *memory = emulator::map_memory(bytes, current);
    if (!*memory) return failed(cudaErrorMemoryAllocation);
    device.taken += bytes;
    device.given_back -= std::min(bytes, device.given_back);  // which is handed out first
    return cudaSuccess;
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t stream) {
    const locked_machine machine;
    emulator::allocation* found = emulator::allocation_at(memory);
    if (!found || found->freed || found->device != current) return failed(cudaErrorInvalidValue);
    found->freed = true;
    machine->devices[current].taken -= found->bytes;
    machine->devices[current].given_back += found->bytes;
    emulator::put(stream, false, [memory] { emulator::unmap_memory(memory); });
    return check_stream(machine, stream);
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) { return *pool = nullptr, cudaSuccess; }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    return copy(to, bytes, from, bytes, {bytes, 1}, kind, stream);
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
    constexpr std::size_t longest = (std::size_t(1) << 31) - 1;
    if (width > to_pitch || width > from_pitch || std::max(to_pitch, from_pitch) > longest)
        return failed(cudaErrorInvalidPitchValue);
    return copy(to, to_pitch, from, from_pitch, {width, height}, kind, stream);
}

// Waiting

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    const locked_machine machine;
    if (const cudaError_t error = check_stream(machine, stream)) return error;
    return wait_for(machine, stream, machine->next_number);
}
cudaError_t cudaDeviceSynchronize() { return cudaStreamSynchronize(nullptr); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    const locked_machine machine;
    if (machine->fault != cudaSuccess) return failed(machine->fault);
    *event = new event_tag{nullptr, 0};
    ++machine->events;
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    const locked_machine machine;
    if (const cudaError_t error = check_stream(machine, stream)) return error;
    *event = {stream, machine->next_number};
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    const locked_machine machine;
    return wait_for(machine, event->stream, event->before);
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
    return *milliseconds = 1, cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    const locked_machine machine;
    --machine->events;
    delete event;
    return cudaSuccess;
}
