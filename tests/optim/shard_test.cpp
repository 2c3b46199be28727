// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/optim/shard_test.cpp: the range that an optimizer gets, and what an optimizer must offer.
#include <doctest/doctest.h>
#include <cohort/optim/adamw.hpp>
#include <cohort/optim/sgd.hpp>
#include <cohort/optim/shard.hpp>

using namespace cohort;

namespace {
static_assert(std::is_trivially_copyable_v<Shard<float>>);
static_assert(
    std::is_same_v<decltype(Shard<float>::grads), const float*>);  // gradients are read only

/// An optimizer as users write them: two lines of arithmetic.
struct SignDescent {
  using slot = slots::optimizer;
  struct Options {};
  [[maybe_unused]] static constexpr int moments = 0;
  template <class D, class T>
  static void update(const D&, const Shard<T>& s, UpdateStep now, const Options&) {
    for (std::size_t i = 0; i < s.size; ++i)
      s.params[i] -=
          static_cast<T>(now.learning_rate) * static_cast<T>((s.grads[i] > 0) - (s.grads[i] < 0));
  }
};
static_assert(Policy<SignDescent>);
}  // namespace

TEST_CASE("shard: a step counts from one and leaves the gradient as it is unless told") {
  const UpdateStep step;
  CHECK(step.step == 1);
  CHECK(step.grad_scale == 1);
  CHECK(step.learning_rate == 0);
}

TEST_CASE("shard: a user's optimizer needs nothing else") {
  float p[2] = {1, 1};
  const float g[2] = {5, -0.1f};
  SignDescent::update(0, Shard<float>{p, g, nullptr, nullptr, 2, 2}, {1, 0.5, 1}, {});
  CHECK(p[0] == 0.5f);
  CHECK(p[1] == 1.5f);
}

TEST_CASE("shard: an empty one is no work and touches nothing") {
  CHECK_NOTHROW(optim::AdamW::update(DefaultCpu{}, Shard<float>{}, {1, 0.1, 1}, {}));
  CHECK_NOTHROW(optim::Sgd::update(DefaultCpu{}, Shard<float>{}, {1, 0.1, 1}, {}));
}
