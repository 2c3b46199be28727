// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/driver_test.cpp: hooks out of order are refused; gradients that nobody contributed are zero.
#include <cohort/run/driver.hpp>

#include <doctest/doctest.h>

#include "support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Run = Trainer<zoo::OddMlp, nn::CrossEntropy, Groups<Each<nn::Linear<7, 13>>>>;
using Plan = Run::plan_type;
using Driver = detail::Driver<Plan, Threads>;

TEST_CASE("Driver: units in their declared order pass, any other order is refused") {
  launch<Threads>({.ranks = 2}, [](Threads& world) {
    Driver driver(world, Run::options{.stream = StreamMode::on_compute_thread});
    CHECK_FALSE(driver.has_worker());
    for (int step = 0; step < 2; ++step) {
      driver.begin<MicroBatch::only>(0, 1);
      for (int u = 0; u < Plan::num_units; ++u) driver.before_forward(u);
      driver.reached(Plan::markers::forward_ended);
      for (int u = Plan::num_units; u-- > 0;) {
        driver.before_backward(u);
        driver.after_backward(u);
      }
      CHECK_NOTHROW(driver.check_all_units());
      driver.reached(Plan::markers::squared);
      driver.reached(Plan::markers::updated);
      driver.finish();
    }
    driver.begin<MicroBatch::only>(0, 1);
    CHECK_THROWS_AS(driver.before_forward(1), ContractBroken);
    CHECK_THROWS_AS(driver.before_backward(0), ContractBroken);
    CHECK_THROWS_AS(driver.check_all_units(), ContractBroken);
  });
}

TEST_CASE("Driver: a unit without a contribution reduces zeros, not the last step's gradient") {
  launch<Threads>({.ranks = 2}, [](Threads& world) {
    Driver driver(world, Run::options{.stream = StreamMode::worker});
    CHECK(driver.has_worker());
    float* g = driver.storage().grads();
    for (std::size_t i = 0; i < Plan::layout.size; ++i) g[i] = 3;
    driver.begin<MicroBatch::only>(0, 1);
    for (int u = 0; u < Plan::num_units; ++u) driver.before_forward(u);
    driver.reached(Plan::markers::forward_ended);
    for (int u = Plan::num_units; u-- > 0;) {
      driver.before_backward(u);
      const UnitInfo& unit = Plan::layout.units[static_cast<std::size_t>(u)];
      if (u == 0)
        for (int p = 0; p < unit.num_params; ++p) {
          const auto to = driver.grads_of_unit(u);
          to.touched[p] = 1;
        }
      driver.after_backward(u);
    }
    driver.reached(Plan::markers::squared);
    driver.reached(Plan::markers::updated);
    driver.finish();
    for (const ParamInfo& p : Plan::layout.params)
      CHECK(g[p.offset] == (p.unit == 0 ? 3.0f * static_cast<float>(world.size()) : 0.0f));
  });
}

}  // namespace
