#include "cuda/messages.hpp"

#include <algorithm>

namespace zoorank::cuda {
namespace {

std::string version_name(int version) {
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string gibibytes(std::int64_t bytes, bool up) {
    constexpr std::int64_t one = std::int64_t(1) << 30;
    const std::int64_t rest = bytes % one * 100;
    const std::int64_t hundredths = bytes / one * 100 + (rest + (up ? one - 1 : 0)) / one;
    const std::string fraction = std::to_string(hundredths % 100);
    return std::to_string(hundredths / 100) + "." + (fraction.size() == 1 ? "0" : "") + fraction + " GiB";
}

}  // namespace

std::string driver_message(int driver, int runtime) {
    if (driver == 0) return "there is no NVIDIA driver on this machine (libcuda.so.1 is not found)";
    // From 11 on, every runtime of a major version runs with the first driver of that version.
    const int major = runtime / 1000;
    const char* oldest = major == 12 ? " (525 or newer)" : major == 13 ? " (580 or newer)" : "";
    return "the NVIDIA driver supports CUDA " + version_name(driver) + " at most, and this build of zoorank needs a " +
           "driver for CUDA " + std::to_string(major) + oldest;
}

std::string memory_message(std::int64_t needed, std::int64_t free, std::int64_t rows, const std::string& name) {
    const double share = static_cast<double>(free) / static_cast<double>(std::max<std::int64_t>(needed, 1));
    return name + " is out of memory: " + std::to_string(rows) + " rows need " + gibibytes(needed, true) + ", " +
           gibibytes(free, false) + " are free, enough for about " +
           std::to_string(static_cast<std::int64_t>(static_cast<double>(rows) * share)) + " rows";
}

}  // namespace zoorank::cuda
