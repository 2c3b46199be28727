// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/failure_report.hpp: what a failure says, once, on the rank that it began on.
#pragma once
#include <cstdio>
#include <exception>
#include <string>

namespace cohort {

namespace detail {

/// An exception's own words.
inline std::string what(const std::exception_ptr& error) {
  try {
    if (error) std::rethrow_exception(error);
    return "no reason given";
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "cohort: a rank threw something that is not a std::exception";
  }
}

}  // namespace detail

/// One line on stderr about the failure of a launch, at most once. A world whose ranks are
/// processes settles it before the first of them ends: the launcher may stop all others then, and
/// ranks that only heard of the failure need not repeat it.
class FailureReport {
 public:
  void print(const std::exception_ptr& error) {
    if (!settled_) {
      std::fprintf(stderr, "%s\n", detail::what(error).c_str());
      std::fflush(stderr);
    }
    settle();
  }
  /// Nothing more is to be said here.
  void settle() { settled_ = true; }

 private:
  bool settled_ = false;
};

}  // namespace cohort
