// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/system_test.cpp: files below a root, lists of the kernel, variables.
#include <cohort/doctor/system.hpp>

#include <doctest/doctest.h>

#include <cstdlib>

#include "../support/fake_system.hpp"

using namespace cohort;
using namespace cohort::checkup;

TEST_CASE("system: files are read below the root, and nothing above it") {
  test::FakeSystem fake;
  fake.file("/proc/some/file", " 12\n");
  CHECK(read(fake.system, "/proc/some/file") == " 12\n");
  CHECK(read_line(fake.system, "/proc/some/file") == "12");
  CHECK_FALSE(read(fake.system, "/proc/cpuinfo"));
  CHECK_FALSE(read(fake.system, "/proc/some"));  // a directory
  CHECK(read_line(fake.system, "/none") == "");
  fake.file("/proc/some/also", "");
  CHECK(names_in(fake.system, "/proc/some") == std::vector<std::string>{"also", "file"});
  CHECK(names_in(fake.system, "/none").empty());
  fake.file("/large", std::string(3 << 20, 'x'));
  CHECK(read(fake.system, "/large")->size() == 1 << 20);
}

TEST_CASE("system: numbers, lists and fields as the kernel writes them; nothing for what is none") {
  CHECK(number("12") == 12);
  for (const char* bad : {"", "-1", "1.5", "12x", " 1", "99999999999999999999999"}) {
    CAPTURE(bad);
    CHECK_FALSE(number(bad));
  }
  CHECK(number_list("0-3,8\n") == std::vector{0, 1, 2, 3, 8});
  CHECK(number_list("5") == std::vector{5});
  for (const char* bad : {"", "\n", "a", "3-1", "0-", "-", "0-99999999999"}) {
    CAPTURE(bad);
    CHECK(number_list(bad).empty());
  }
  CHECK(field("ab:\t1\na : 2 \n", "a") == "2");
  CHECK(field("a 1\n", "a") == "");
  CHECK(field("", "a") == "");
  CHECK(split(" a, ,b,", ',') == std::vector<std::string>{"a", "b"});
}

TEST_CASE("system: variables are those of the process, or a test's own") {
  REQUIRE(::setenv("COHORT_DOCTOR_TEST", "a=b", 1) == 0);
  const auto own = Environment::of_this_process();
  ::unsetenv("COHORT_DOCTOR_TEST");
  CHECK(own.text("COHORT_DOCTOR_TEST") == "a=b");
  const Environment given(Environment::Variables{{"X", ""}});
  CHECK(given("X") != nullptr);
  CHECK(given("Y") == nullptr);
  CHECK(given.text("Y") == "");
}
