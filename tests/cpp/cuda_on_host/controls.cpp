#include "controls.hpp"

#include <cstdio>
#include <sstream>
#include <vector>

#include "machine.hpp"

using emulator::locked_machine;

namespace {

const std::map<std::string, std::int64_t> defaults{{"devices", 1},
                                                   {"major", 9},
                                                   {"minor", 0},
                                                   {"memory", std::int64_t(2) << 30},
                                                   {"driver", emulator::runtime_version},
                                                   {"failing_allocation", 0},
                                                   {"failing_launch", 0},
                                                   {"faulting_launch", 0}};

// Before the first question about a device can be asked.
const bool initialised = [] {
    const locked_machine machine;
    machine->settings = defaults;
    const char* given = std::getenv("ZOORANK_EMULATED_CUDA");
    std::istringstream words(given ? given : "");
    for (std::string word; words >> word;) {
        const std::size_t equals = word.find('=');
        if (equals != std::string::npos &&
            emulated_cuda_set(word.substr(0, equals).c_str(), std::atoll(word.c_str() + equals + 1)))
            continue;
        std::fprintf(stderr, "ZOORANK_EMULATED_CUDA: '%s' is no setting\n", word.c_str());
        std::abort();
    }
    return true;
}();

cudaStream_t stream_of(std::uintptr_t handle) { return reinterpret_cast<cudaStream_t>(handle); }

}  // namespace

bool emulated_cuda_set(const char* name, std::int64_t value) {
    const locked_machine machine;
    const auto found = machine->settings.find(name);
    if (found == machine->settings.end()) return false;
    found->second = value;
    if (std::string(name) == "faulting_launch") machine->fault = cudaSuccess;
    return true;
}

std::int64_t emulated_cuda_get(const char* name) {
    const locked_machine machine;
    const std::string wanted = name;
    std::int64_t alive = 0;
    for (const auto& each : machine->allocations) alive += !each.second.freed && !each.second.of_others;
    if (wanted == "allocations") return alive;
    if (wanted == "events") return machine->events;
    if (wanted == "taken") return static_cast<std::int64_t>(machine->devices[emulator::current].taken);
    if (wanted == "launches") return machine->launches;
    if (wanted == "stream") return reinterpret_cast<std::intptr_t>(machine->last_stream);
    if (wanted == "device") return machine->last_device;
    const auto found = machine->settings.find(wanted);
    return found == machine->settings.end() ? -1 : found->second;
}

void* emulated_cuda_allocate(int device, std::size_t bytes) {
    const locked_machine machine;
    return emulator::map_memory(bytes, device, true);
}

void emulated_cuda_free(void* memory) {
    const locked_machine machine;
    cudaDeviceSynchronize();  // as cudaFree does
    emulator::unmap_memory(memory);
}

std::uintptr_t emulated_cuda_stream(int device) {
    const locked_machine machine;
    const std::uintptr_t handle = 0x1000 + 16 * machine->streams.size();
    machine->streams[stream_of(handle)] = device;
    return handle;
}

void emulated_cuda_copy(void* to, const void* from, std::size_t bytes, std::uintptr_t stream) {
    const locked_machine machine;
    const auto* first = static_cast<const char*>(from);
    emulator::put(stream_of(stream), true,
                  [to, read = std::vector<char>(first, first + bytes)] { std::memcpy(to, read.data(), read.size()); });
}
