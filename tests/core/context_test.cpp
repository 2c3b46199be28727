// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/context_test.cpp: where results, temporaries and saved arrays come from.
#include <doctest/doctest.h>
#include <cohort/core/context.hpp>
#include <cohort/device/cpu.hpp>

#include <cstdint>

using namespace cohort;

namespace {
template <Phase P> using Ctx = Context<DefaultCpu, float, P>;
static_assert(Ctx<Phase::train>::train && Ctx<Phase::backward>::train);
static_assert(!Ctx<Phase::evaluate>::train);
static_assert(std::is_same_v<Ctx<Phase::train>::scalar, float>);

struct Place {
  DefaultCpu device;
  Arena results{"activation", 1024}, scratch{"scratch", 256};
  Ctx<Phase::train> ctx{device, results, scratch};
};
}  // namespace

TEST_CASE("context: make takes what the tensor's type announces") {
  Place at;
  const Rows rows{3, 5};
  const auto y = at.ctx.make<7>(rows);
  static_assert(std::is_same_v<decltype(y), const Tensor<float, 7>>);
  CHECK(y.rows == rows);
  CHECK(at.results.used() == decltype(y)::bytes(rows));
  CHECK(reinterpret_cast<std::uintptr_t>(y.data) % alignment == 0);
  const auto sums = at.ctx.make<1, double>(rows);  // another element type, e.g. statistics
  CHECK(at.results.used() == y.bytes(rows) + sums.bytes(rows));
}

TEST_CASE("context: like has the rows and the width of its argument and the context's type") {
  Place at;
  const double values[6] = {};
  const auto y = at.ctx.like(Tensor<const double, 3>{values, {2, 1}});
  static_assert(std::is_same_v<decltype(y), const Tensor<float, 3>>);
  CHECK(y.rows == Rows{2, 1});
}

TEST_CASE("context: scratch is another memory than results") {
  Place at;
  at.ctx.scratch<double>(3);
  CHECK(at.scratch.used() == 64);
  CHECK(at.results.used() == 0);
  CHECK_THROWS_AS(at.ctx.scratch<double>(32), ContractBroken);
}

TEST_CASE("context: saved arrays lie beside the results") {
  Place at;
  struct Kept {
    const float* a;
    int b;
  };
  at.ctx.make_array<Kept>(5);
  CHECK(at.results.used() == round_up(5 * sizeof(Kept), alignment));
}

TEST_CASE("context: opposite swaps the end of the results and nothing else") {
  Place at;
  const auto far = at.ctx.opposite();
  CHECK(at.ctx.end() == Arena::End::low);
  CHECK(far.end() == Arena::End::high);
  CHECK(far.opposite().end() == Arena::End::low);
  const auto low = at.ctx.make<16>({1, 1});
  const auto high = far.make<16>({1, 1});
  CHECK(high.data - low.data == 1024 / 4 - 16);
  CHECK(&far.results() == &at.ctx.results());
  CHECK(&far.scratch_arena() == &at.ctx.scratch_arena());
  CHECK(&far.device() == &at.ctx.device());
}

TEST_CASE(
    "context: each call of random() is another place, also through opposite; without a source it "
    "says so") {
  Place at;
  CHECK_THROWS_WITH_AS(at.ctx.random(), doctest::Contains("without a source"), ContractBroken);
  CHECK(at.ctx.upcoming() == nullptr);
  const std::int64_t steps = 1;
  Random upcoming({.seed = 2, .steps = &steps});
  const Ctx<Phase::train> ctx{at.device,       at.results, at.scratch,
                              Arena::End::low, nullptr,    &upcoming};
  CHECK(ctx.random().place() == 0);
  CHECK(ctx.opposite().random().place() == 1);
  CHECK(ctx.upcoming() == &upcoming);
  CHECK(upcoming.place() == 2);
}
