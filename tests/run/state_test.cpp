// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/state_test.cpp: what is read by name is what was written, without padding.
#include <cohort/run/state.hpp>

#include <doctest/doctest.h>

#include "received.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Case = zoo::TiedGptCase;
using Run = Trainer<Case::Model, Case::Loss, optim::Sgd>;

template <class F> void on_one(F f) {
  on_ranks<Run>(1, options_of<Run, Case>({.each = 2}), [&](auto& run, World&) { f(run); });
}

TEST_CASE("gather_parameters: every parameter once, in forward order, with its own extents") {
  on_one([](auto& run) {
    const auto parameters = run.gather_parameters();
    const auto names = parameter_names<Case::Model>();
    REQUIRE(parameters.size() == names.size());
    std::size_t elements = 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
      CHECK(parameters[i].name == names[i]);
      std::size_t numel = 1;
      for (int e : parameters[i].extents) numel *= static_cast<std::size_t>(e);
      CHECK(parameters[i].values.size() == numel);
      elements += numel;
    }
    CHECK(elements == Run::plan_type::layout.num_elements());
    CHECK(names[0] == "weight");
    CHECK(parameters[0].extents == std::vector<int>{11, 8});
    CHECK(names[2] == "body.1.0.0.inner.0.weight");
    CHECK(std::find(names.begin(), names.end(), "body.1.1.0.inner.1.qkv.bias") != names.end());
  });
}

TEST_CASE("gather_parameters: rank 0 alone receives what all would, the others nothing") {
  rank_0_alone<zoo::LittleFrozenCase, Replicate>();
  rank_0_alone<zoo::LittleFrozenCase, FullShard>();
}

TEST_CASE("set_parameter: it is read back, it is what forward uses, and no other one changes") {
  on_one([](auto& run) {
    auto expected = run.gather_parameters();
    const zoo::Batch<Case> batch(2);
    const LossSum before = run.evaluate(batch.x(), batch.y());
    for (std::size_t i : {std::size_t{0}, std::size_t{3}, expected.size() - 1}) {
      for (std::size_t k = 0; k < expected[i].values.size(); ++k)
        expected[i].values[k] = 0.01f * static_cast<float>(k);
      run.set_parameter(expected[i].name, expected[i].values);
      CHECK(same_bits(run.gather_parameters(), expected));
    }
    CHECK(run.evaluate(batch.x(), batch.y()).sum != before.sum);
  });
}

TEST_CASE("set_parameter: an unknown name or a wrong size says what there is") {
  on_one([](auto& run) {
    const auto before = run.gather_parameters();
    const auto message = [&](const std::string& name, std::size_t count) {
      try {
        run.set_parameter(name, std::vector<float>(count));
      } catch (const InvalidInput& e) {
        return std::string(e.what());
      }
      return std::string();
    };
    CHECK(message("wte", 88).find("no parameter 'wte'; it has weight, body.0.weight, ") !=
          std::string::npos);
    CHECK(message("weight", 87).find("has 88 elements, not 87") != std::string::npos);
    CHECK(message("weight", 0).find("not 0") != std::string::npos);
    CHECK(same_bits(run.gather_parameters(), before));
  });
}

TEST_CASE("gather_gradients: padding between parameters stays zero through steps") {
  on_one([](auto& run) {
    const zoo::Batch<Case> batch(2);
    for (int step = 0; step < 3; ++step) run.step(batch.x(), batch.y());
    for (const ParamInfo& p : Run::plan_type::layout.params) {
      for (std::size_t k = p.offset + p.numel; k < p.offset + p.padded; ++k) {
        CHECK(run.storage().params()[k] == 0);
        CHECK(run.storage().grads()[k] == 0);
      }
    }
  });
}

}  // namespace
