#pragma once
// What a test needs and no more: TEST_CASE("name") { CHECK(...); } and a main() that runs them all.
// A failed check is reported with its values and the case goes on.
#include <exception>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace check {

struct test_case {
    std::string name;
    void (*run)();
};

inline std::vector<test_case>& cases() {
    static std::vector<test_case> all;
    return all;
}

inline int& failures() {
    static int count = 0;
    return count;
}

inline bool add(std::string name, void (*run)()) {
    cases().push_back({std::move(name), run});
    return true;
}

inline void report(bool ok, const char* file, int line, const std::string& what) {
    if (ok) return;
    ++failures();
    std::cout << file << ':' << line << ": " << what << '\n';
}

template <class A, class B>
void report_close(A actual, B expected, double tolerance, const char* file, int line, const char* expression) {
    const double difference = static_cast<double>(actual) - static_cast<double>(expected);
    std::ostringstream what;
    what.precision(17);
    what << expression << " is " << actual << ", not within " << tolerance << " of " << expected;
    // Written so that NaN fails.
    report(difference <= tolerance && -difference <= tolerance, file, line, what.str());
}

template <class Expected, class Action>
void report_throws(Action&& action, const std::string& fragment, const char* file, int line, const char* expression) {
    std::string what = std::string(expression) + " threw nothing";
    bool ok = false;
    try {
        action();
    } catch (const Expected& error) {
        ok = std::string(error.what()).find(fragment) != std::string::npos;
        what = std::string(expression) + " threw \"" + error.what() + "\", without \"" + fragment + "\"";
    } catch (const std::exception& error) {
        what = std::string(expression) + " threw another type: " + error.what();
    }
    report(ok, file, line, what);
}

}  // namespace check

#define CHECK_JOIN_(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN_(a, b)
#define CHECK_CASE(name, function)                                               \
    static void function();                                                      \
    static const bool CHECK_JOIN(function, _added) = check::add(name, function); \
    static void function()

#define TEST_CASE(name) CHECK_CASE(name, CHECK_JOIN(test_on_line_, __LINE__))
#define CHECK(condition) check::report(static_cast<bool>(condition), __FILE__, __LINE__, #condition " is false")
#define CHECK_CLOSE(actual, expected, tolerance) \
    check::report_close(actual, expected, tolerance, __FILE__, __LINE__, #actual)
#define CHECK_THROWS(type, fragment, ...) \
    check::report_throws<type>([&] { (void)(__VA_ARGS__); }, fragment, __FILE__, __LINE__, #__VA_ARGS__)

int main() {
    for (const check::test_case& test : check::cases()) {
        const int before = check::failures();
        try {
            test.run();
        } catch (const std::exception& error) {
            check::report(false, test.name.c_str(), 0, std::string("uncaught: ") + error.what());
        }
        std::cout << (check::failures() == before ? "ok    " : "FAIL  ") << test.name << '\n';
    }
    if (check::cases().empty()) std::cout << "no test case\n";
    return check::failures() != 0 || check::cases().empty();
}
