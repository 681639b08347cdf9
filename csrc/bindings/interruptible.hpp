#pragma once
#include <exception>
#include <string>
#include <utility>

#include <pybind11/pybind11.h>
#include <zoorank/options.hpp>

namespace zoorank::bindings {

inline options options_of(int threads, const std::string& precision) {
    options opt;
    opt.threads = threads;
    opt.precision = parse_float_precision(precision);
    return opt;
}

/// Runs work(options) without the GIL. Ctrl-C, or any other signal whose Python handler raises, ends it, and so does an
/// exception out of `progress`, which is called with the fraction done unless it is None.
template <class Work>
void interruptible(options opt, Work work, const pybind11::object& progress = pybind11::none()) {
    std::exception_ptr raised;
    opt.progress = [&raised, &progress](double fraction) {
        const pybind11::gil_scoped_acquire locked;
        try {
            if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
            if (!progress.is_none()) progress(fraction);
            return true;
        } catch (...) {
            raised = std::current_exception();
            return false;
        }
    };
    try {
        const pybind11::gil_scoped_release unlocked;
        work(opt);
    } catch (const cancelled&) {
        if (raised) std::rethrow_exception(raised);
        throw;
    }
}

template <class Work>
void interruptible(int threads, Work work, const pybind11::object& progress = pybind11::none()) {
    options opt;
    opt.threads = threads;
    interruptible(std::move(opt), work, progress);
}

}  // namespace zoorank::bindings
