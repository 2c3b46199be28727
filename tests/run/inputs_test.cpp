// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/inputs_test.cpp: on the host rows are read where the caller has them.
#include <cohort/run/inputs.hpp>

#include <doctest/doctest.h>

#include <cohort/ops/default_gemm.hpp>

using namespace cohort;

namespace {

struct FakePlan {};
struct FakeMachine {};

TEST_CASE("Inputs: the host copies nothing") {
  detail::Inputs<FakePlan, FakeMachine, DefaultCpu> inputs(FakeMachine{}, {4, 2});
  const int tokens[8] = {};
  const float targets[16] = {};
  const auto rows = inputs(Tokens{tokens, {4, 2}}, Tensor<const float, 2>{targets, {4, 2}});
  CHECK((rows.first.data == tokens && rows.second.data == targets));
  CHECK(rows.first.rows == Rows{4, 2});
  CHECK(inputs(rows.first).data == tokens);
  CHECK(inputs.result(rows.second).data == targets);
}

TEST_CASE("ArenaOn: an arena of the device's memory, of exactly so many bytes") {
  detail::ArenaOn<DefaultCpu> arena("test", 256);
  CHECK(arena->capacity() == 256);
  CHECK(arena->take<float>(64) != nullptr);
  CHECK_THROWS_WITH_AS(arena->take<float>(1), doctest::Contains("the test arena holds 256"),
                       ContractBroken);
}

}  // namespace
