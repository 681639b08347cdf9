#include "cpu/kernel_table.hpp"

#include <cstdlib>
#include <stdexcept>

#include "cpu/amx_permission.hpp"

namespace zoorank::cpu {
namespace {

struct entry {
    const kernel_table* kernels;
    bool (*supported)();
};

#ifdef ZOORANK_HAS_AVX512
bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

// Every instruction set of this binary, best first. __builtin_cpu_supports asks the processor and whether the operating
// system saves its registers.
const entry entries[] = {
#ifdef ZOORANK_HAS_AMX
    {&kernels_amx, [] { return has_avx512() && amx_permitted(); }},
#endif
#ifdef ZOORANK_HAS_AVX512
    {&kernels_avx512, [] { return has_avx512(); }},
#endif
#ifdef ZOORANK_HAS_AVX2
    {&kernels_avx2, [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
    {&kernels_baseline, [] { return true; }},
};

struct choice {
    const kernel_table* kernels = nullptr;
    std::string mistake;  // where there are none
};

choice choose() {
    const char* forced = std::getenv("ZOORANK_ISA");
    for (const entry& e : entries)
        if (e.supported() && (!forced || !*forced || std::string(forced) == e.kernels->name)) return {e.kernels, ""};
    std::string valid;
    for (const std::string& name : supported_instruction_sets()) valid += (valid.empty() ? "" : ", ") + name;
    return {nullptr, "ZOORANK_ISA is '" + std::string(forced) + "'; this processor and build have " + valid};
}

}  // namespace

const kernel_table& active_kernels() {
    // Made without exceptions: ThreadSanitizer forgets threads that wait for a static whose maker throws.
    static const choice chosen = choose();
    if (!chosen.kernels) throw std::invalid_argument(chosen.mistake);
    return *chosen.kernels;
}

std::vector<const kernel_table*> supported_kernels() {
    std::vector<const kernel_table*> tables;
    for (const entry& e : entries)
        if (e.supported()) tables.push_back(e.kernels);
    return tables;
}

std::vector<std::string> supported_instruction_sets() {
    std::vector<std::string> names;
    for (const kernel_table* kernels : supported_kernels()) names.emplace_back(kernels->name);
    return names;
}

}  // namespace zoorank::cpu
