// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/message.hpp: what an error says.
#pragma once
#include <string>

namespace cohort::test {

/// What an exception of type E says; another exception fails the test.
template <class E, class F> std::string message(F f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace cohort::test
