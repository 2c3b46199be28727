// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/version_test.cpp: the version macros can be asked by the preprocessor and are CMake's.
#include <doctest/doctest.h>
#include <cohort/version.hpp>

#include <fstream>
#include <iterator>
#include <string>

#if !defined(COHORT_VERSION_MAJOR) || COHORT_VERSION_MAJOR < 0 || COHORT_VERSION_MINOR < 0 || \
    COHORT_VERSION_PATCH < 0
#error "version.hpp does not define whole numbers"
#endif

TEST_CASE("version: the header and CMakeLists.txt name the same one") {
  std::ifstream file(COHORT_TEST_DIR "/../CMakeLists.txt");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::string version = std::to_string(COHORT_VERSION_MAJOR) + "." +
                              std::to_string(COHORT_VERSION_MINOR) + "." +
                              std::to_string(COHORT_VERSION_PATCH);
  CHECK(text.find("project(cohort VERSION " + version + " ") != std::string::npos);
}
