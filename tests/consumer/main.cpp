#include <iostream>
#include <string>
#include <zoorank/build_info.hpp>

int main() {
    const std::string version = zoorank::build_info().version;
    std::cout << "linked with zoorank " << version << '\n';
    return version == EXPECTED_VERSION ? 0 : 1;
}
