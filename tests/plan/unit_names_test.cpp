// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/unit_names_test.cpp: a unit is called by the place of its layer in the model.
#include <cohort/plan/unit_names.hpp>

#include <doctest/doctest.h>

#include <cohort/cohort.hpp>

#include "support/models.hpp"

using namespace cohort;

namespace {

using Mixed = nn::Sequential<nn::Linear<3, 5>, nn::ReLU<5>, nn::Repeat<2, nn::LayerNorm<5>>,
                             nn::Linear<5, 70, nn::NoBias>>;
using Block = nn::Residual<nn::Sequential<nn::LayerNorm<8>, nn::Linear<8, 8>>>;
using Model = nn::Sequential<nn::Embedding<16, 8>, nn::Repeat<2, Block>, nn::Linear<8, 16>>;
using Tied = nn::TiedEmbedding<16, 8, nn::Sequential<nn::Repeat<2, Block>, nn::LayerNorm<8>>>;

TEST_CASE("unit_names: one a unit, in forward order") {
  using Plan = Trainer<Model, nn::CrossEntropy>::plan_type;
  CHECK(unit_names<Plan>() == std::vector<std::string>{"0", "1.0", "1.1", "2"});
  using TiedPlan = Trainer<Tied, nn::CrossEntropy>::plan_type;
  const auto names = unit_names<TiedPlan>();
  REQUIRE(names.size() == TiedPlan::num_units);
  CHECK(names[0] == "model");  // own parameters of a divided layer
  CHECK(names[1] == "body.0.0");
}

TEST_CASE("unit_names: as many as units, whatever the cut") {
  using Names = std::vector<std::string>;
  CHECK(unit_names<Mixed, CutAtRepeat>() == Names{"0", "2.0", "2.1", "3"});
  CHECK(unit_names<zoo::OddMlp, CutAtRepeat>() == Names{""});  // one unit: the model
  CHECK(unit_names<zoo::TiedGpt, CutAtRepeat>() ==
        Names{"", "body.0", "body.1.0", "body.1.1", "body.2"});
  zoo::for_each_case([]<class Case>() {
    using M = typename Case::Model;
    CHECK(unit_names<M, CutAtRepeat>().size() == Layout<M, CutAtRepeat>::num_units);
    using Cut = CutAt<nn::Linear<4, 4>, nn::LayerNorm<8>>;
    CHECK(unit_names<M, Cut>().size() == Layout<M, Cut>::num_units);
  });
}

}  // namespace
