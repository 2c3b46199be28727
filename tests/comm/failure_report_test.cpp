// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/failure_report_test.cpp: a failure is told once, with its rank.
#include <cohort/comm/failure_report.hpp>
#include <cohort/core/error.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>

#include <unistd.h>

using namespace cohort;

namespace {

/// What f writes on stderr.
template <class F> std::string errors_of(F f) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
  std::fflush(stderr);
  const int saved = dup(2);
  dup2(fileno(file.get()), 2);
  f();
  std::fflush(stderr);
  dup2(saved, 2);
  close(saved);
  std::string text;
  std::rewind(file.get());
  for (int c = std::fgetc(file.get()); c != EOF; c = std::fgetc(file.get())) {
    text += static_cast<char>(c);
  }
  return text;
}

const auto boom = std::make_exception_ptr(std::runtime_error("boom"));

TEST_CASE("a report is printed once, and not at all once it is settled") {
  FailureReport report;
  CHECK(errors_of([&] { report.print(boom); }) == "boom\n");
  CHECK(errors_of([&] { report.print(boom); }).empty());
  FailureReport settled;
  settled.settle();
  CHECK(errors_of([&] { settled.print(boom); }).empty());
}

TEST_CASE("a report names the rank unless the words do") {
  FailureReport plain, own;
  CHECK(errors_of([&] { plain.print(boom, 3); }) == "cohort: rank 3 failed: boom\n");
  const auto named = std::make_exception_ptr(InvalidInput(2, "step", "No rows."));
  CHECK(errors_of([&] { own.print(named, 2); }) == "cohort: rank 2: step: No rows.\n");
}

TEST_CASE("what: the words of anything that can be thrown") {
  CHECK(detail::what(boom) == "boom");
  CHECK(detail::what(nullptr) == "no reason given");
  CHECK(detail::what(std::make_exception_ptr(42)) ==
        "cohort: a rank threw something that is not a std::exception");
}

}  // namespace
