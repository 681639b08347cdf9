#pragma once
#include <exception>

#include <pybind11/pybind11.h>
#include <zoorank/options.hpp>

namespace zoorank::bindings {

/// Runs work(options) without the GIL and lets Ctrl-C, or any other signal whose Python handler raises, end it.
template <class Work>
void interruptible(int threads, Work work) {
    std::exception_ptr raised;
    options opt;
    opt.threads = threads;
    opt.progress = [&raised](double) {
        const pybind11::gil_scoped_acquire locked;
        if (PyErr_CheckSignals() == 0) return true;
        raised = std::make_exception_ptr(pybind11::error_already_set());
        return false;
    };
    try {
        const pybind11::gil_scoped_release unlocked;
        work(opt);
    } catch (const cancelled&) {
        if (raised) std::rethrow_exception(raised);
        throw;
    }
}

}  // namespace zoorank::bindings
