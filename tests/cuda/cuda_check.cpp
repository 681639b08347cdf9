// The CUDA backend on a device, without Python: every kernel against the CPU engine in float64, and the bits of two
// runs.
//
//     cuda_check [simt] [mma] [wgmma] [others] [references] [small]
//
// names what is checked, by default all; `references` are those of the others that an estimate takes; `small` takes
// little data, for compute-sanitizer. Ends with 0 when all is right, 1 when something is wrong, 77 where there is
// nothing to run on.
#include <cstdio>
#include <set>

#include "backend_checks.hpp"
#include "cuda/device.hpp"

using namespace backend_checks;

namespace {

constexpr int nothing_to_run_on = 77;

// Tiles that classes fill and that they do not, more stages than a ring has, more tile rows than a batch has, more
// tiles than are joined at once.
const std::vector<sizes> split_sizes{{127, 64, 3}, {129, 97, 60}, {640, 512, 5}, {900, 300, 400}, {9000, 96, 40}};
const std::vector<sizes> few_features{{129, 5, 60}, {900, 33, 400}, {9000, 17, 40}};
const std::vector<sizes> small_split{{270, 100, 5}}, small_others{{150, 19, 5}};

int run(std::set<std::string> wanted) {
    const bool small = wanted.erase("small") > 0;
    const std::string best = cuda::euclidean_kernel(512, 0);
    std::vector<std::string> kernels{"simt", "mma"};
    if (best == "wgmma") kernels.push_back(best);
    for (const std::string& name : wanted)
        if (name != "simt" && name != "mma" && name != "others" && name != "references" && name != best) {
            std::printf("'%s' does not run here; simt, mma%s, others and references do\n", name.c_str(),
                        best == "wgmma" ? ", wgmma" : "");
            return nothing_to_run_on;
        }
    checker check({0, nullptr}, [](const result& found) {
        std::printf("%-5s %9.2e of %.0e  %s\n", found.right() ? "ok" : "WRONG", found.error, found.allowed,
                    found.what.c_str());
        std::fflush(stdout);
    });
    for (const std::string& kernel : kernels)
        if (wanted.empty() || wanted.count(kernel)) {
            check_kernel(check, kernel, small ? small_split : split_sizes);
            if (kernel == "simt" && !small) check_kernel(check, kernel, few_features);
        }
    if (wanted.empty() || wanted.count("others")) {
        check_others<float>(check, small ? small_others : few_features);
        check_others<double>(check, small ? small_others : few_features);
        check_lengths<float>(check, small_others.front());
        check_lengths<double>(check, small_others.front());
    }
    if (wanted.count("references")) {
        const sizes& each = (small ? small_others : few_features).back();
        check.references(problem<float>(each));
        check.references(problem<double>(each));
    }
    std::printf("%d checks, %d wrong\n", check.count(), check.wrong());
    return check.wrong() == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string reason = cuda::unavailable_reason();
    if (!reason.empty()) {
        std::printf("nothing to run on: %s\n", reason.c_str());
        return nothing_to_run_on;
    }
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        std::printf("stopped: %s\n", error.what());
        return 1;
    }
}
