// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/function_ref_test.cpp: what it refers to is called, with its own state, and nothing is copied.
#include <cohort/core/function_ref.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <type_traits>

using cohort::detail::FunctionRef;

namespace {

struct Counts {
  int& calls;
  Counts(int& n) : calls(n) {}
  Counts(const Counts&) = delete;
  void operator()(int n) { calls += n; }
};
int twice(FunctionRef<int(int)> f) { return f(1) + f(2); }

static_assert(sizeof(FunctionRef<void()>) == 2 * sizeof(void*));
static_assert(std::is_trivially_copyable_v<FunctionRef<void()>>);

TEST_CASE("FunctionRef: calls what it refers to, whose state is its own") {
  int calls = 0;
  Counts counts(calls);
  const FunctionRef<void(int)> f = counts;
  f(2);
  const FunctionRef<void(int)> copy = f;
  copy(3);
  CHECK(calls == 5);
}

TEST_CASE("FunctionRef: a lambda as an argument, a constant one, a pointer to a function") {
  int factor = 10;
  CHECK(twice([&](int n) { return factor * n; }) == 30);
  const auto constant = [](int n) { return n; };
  CHECK(twice(constant) == 3);
  int seen = 0;
  const auto answers = [&](int n) { return seen = n; };
  const FunctionRef<void(int)> ignores_the_answer = answers;
  ignores_the_answer(4);
  CHECK(seen == 4);
  int (*function)(FunctionRef<int(int)>) = twice;
  CHECK(FunctionRef<int(FunctionRef<int(int)>)>(function)(constant) == 3);
}

TEST_CASE("FunctionRef: arguments are moved on, references stay what they are, exceptions pass") {
  const auto take = [](std::unique_ptr<int> p, int& out) { out = *p; };
  int out = 0;
  const FunctionRef<void(std::unique_ptr<int>, int&)> takes = take;
  takes(std::make_unique<int>(7), out);
  CHECK(out == 7);
  const auto fails = [] { throw std::runtime_error("as it is"); };
  const FunctionRef<void()> throws = fails;
  CHECK_THROWS_WITH(throws(), "as it is");
}

}  // namespace
