// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/unit_names_test.cpp: a unit is called by what its parameters' names have in common.
#include <cohort/plan/unit_names.hpp>

#include <doctest/doctest.h>

#include <cohort/cohort.hpp>

using namespace cohort;

namespace {

std::string common(std::vector<std::string> names) {
  return detail::common_name(names.data(), names.data() + names.size());
}

TEST_CASE("common_name: whole components, without the parameter's own") {
  CHECK(common({"2.0.inner.weight", "2.0.inner.bias"}) == "2.0.inner");
  CHECK(common({"2.0.0.weight", "2.0.3.bias"}) == "2.0");
  CHECK(common({"2.1.weight", "2.10.weight"}) == "2");  // 1 is no part of 10
  CHECK(common({"2.10.weight", "2.1.weight"}) == "2");
  CHECK(common({"a.weight", "b.weight"}) == "a.weight");  // nothing in common: the first
  CHECK(common({"ab.weight", "a.weight"}) == "ab.weight");
  CHECK(common({"weight"}) == "weight");
  CHECK(common({"0.weight"}) == "0");
}

using Block = nn::Residual<nn::Sequential<nn::LayerNorm<8>, nn::Linear<8, 8>>>;
using Model = nn::Sequential<nn::Embedding<16, 8>, nn::Repeat<2, Block>, nn::Linear<8, 16>>;
using Tied = nn::TiedEmbedding<16, 8, nn::Sequential<nn::Repeat<2, Block>, nn::LayerNorm<8>>>;

TEST_CASE("unit_names: one a unit, in forward order") {
  using Plan = Trainer<Model, nn::CrossEntropy>::plan_type;
  CHECK(unit_names<Plan>() == std::vector<std::string>{"0", "1.0.inner", "1.1.inner", "2"});
  using TiedPlan = Trainer<Tied, nn::CrossEntropy>::plan_type;
  const auto names = unit_names<TiedPlan>();
  REQUIRE(names.size() == TiedPlan::num_units);
  CHECK(names[0] == parameter_names<Tied>()[0]);  // own parameters of a divided layer
  CHECK(names[1] == "body.0.0.inner");
}

}  // namespace
