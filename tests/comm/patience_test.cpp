// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/patience_test.cpp: a wait looks up from time to time and sleeps in the end.
#include <cohort/comm/patience.hpp>

#include <doctest/doctest.h>

#include <chrono>

using namespace cohort::detail;
using namespace std::chrono_literals;

namespace {

TEST_CASE("Patience: looks at the mail from time to time, sleeps in the end") {
  Patience patience(true);
  int looks = 0;
  for (int i = 0; i < 160; ++i, patience.wait()) looks += patience.looks_up() ? 1 : 0;
  CHECK(looks == 10);
  for (int i = 0; i < 6000; ++i) patience.wait();
  CHECK(patience.looks_up());
  const auto start = std::chrono::steady_clock::now();
  patience.wait();
  CHECK(std::chrono::steady_clock::now() - start >= 400us);
}

TEST_CASE("Patience: without a core of its own it sleeps as soon as it was told to") {
  Patience patience(false, 8);
  for (int i = 0; i < 8; ++i) patience.wait();
  CHECK(patience.looks_up());
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) patience.wait();
  CHECK(std::chrono::steady_clock::now() - start >= 500us);
}

}  // namespace
