// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/partial_sums_test.cpp: where each part adds up, and what is left at the end: the sum over ranks.
#include <doctest/doctest.h>

#include <cohort/comm/sum.hpp>
#include <cohort/run/partial_sums.hpp>
#include <set>

#include "support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

template <class... Ps>
using PlanOf =
    typename Trainer<zoo::Averaging, nn::CrossEntropy, DataParallel<Replicate>, Ps...>::plan_type;
constexpr DefaultCpu cpu{};

float value_of(int part, std::size_t i) {
  return 1.0f / static_cast<float>(3 + 7 * part + static_cast<int>(i % 61));
}

/// Every part writes its values where it is told to; own memory is poisoned in between, as the next part's
/// is never read before it is written.
template <class Plan> void check_sums(int ranks) {
  CAPTURE(ranks);
  detail::PartialSums<Plan> sums(ranks);
  const int parts = sums.parts(), U = Plan::num_units;
  std::vector<float> own(Plan::layout.size), averages(Plan::layout.averaged + chunk);
  double loss[2] = {};
  for (int m = 0; m < parts * Plan::micro_batches; ++m) {
    CHECK(sums.begin(m) == (m % Plan::micro_batches == 0));
    const int part = m / Plan::micro_batches;
    CHECK(sums.part() == part);
    const bool first = m % Plan::micro_batches == 0, last = (m + 1) % Plan::micro_batches == 0;
    if (first) sums.begin_loss(cpu, loss);
    loss[0] += 1.0 / (3 + part + m), loss[1] += 2;
    sums.add_loss(cpu, loss);
    for (int u = U; u-- > 0;) {
      const auto& unit = Plan::layout.units[static_cast<std::size_t>(u)];
      float* at = sums.gradients(u, own.data() + unit.offset);
      for (std::size_t i = 0; i < unit.size; ++i)
        at[i] = first ? value_of(part, unit.offset + i) : at[i] + 0.25f;
      sums.add_gradients(cpu, u, own.data() + unit.offset);
    }
    float* at = sums.averages(averages.data());
    for (std::size_t i = 0; i < Plan::layout.averaged + 1; ++i)
      at[i] = first ? value_of(part, 1000 + i) : at[i] + 0.25f;
    CHECK(sums.averages(averages.data() + 3, 3) == at + 3);
    sums.add_averages(cpu, averages.data());
    if (last && part + 1 < parts) {
      std::fill(own.begin(), own.end(), std::numeric_limits<float>::quiet_NaN());
      std::fill(averages.begin(), averages.end(), std::numeric_limits<float>::quiet_NaN());
    }
  }
  // What as many ranks would sum over their own.
  const auto added = [&](std::size_t first, std::size_t n) {
    std::vector<std::vector<float>> ranks_own(static_cast<std::size_t>(parts));
    for (int p = 0; p < parts; ++p)
      for (std::size_t i = 0; i < n; ++i) {
        float v = value_of(p, first + i);
        for (int k = 1; k < Plan::micro_batches; ++k) v += 0.25f;
        ranks_own[static_cast<std::size_t>(p)].push_back(v);
      }
    std::vector<float> want(n);
    detail::sum_into<float>([&](int r) { return ranks_own[static_cast<std::size_t>(r)].data(); },
                            parts, n, want.data());
    return want;
  };
  CHECK(own == added(0, own.size()));
  averages.resize(Plan::layout.averaged + 1);
  CHECK(averages == added(1000, averages.size()));
  std::vector<double> losses;
  for (int p = 0; p < parts; ++p) {
    double sum = 0;
    for (int k = 0; k < Plan::micro_batches; ++k)
      sum += 1.0 / (3 + p + p * Plan::micro_batches + k);
    losses.push_back(sum);
  }
  double want = 0;
  detail::sum_into<double>([&](int r) { return &losses[static_cast<std::size_t>(r)]; }, parts, 1,
                           &want);
  CHECK(loss[0] == want);
  CHECK(loss[1] == 2.0 * parts * Plan::micro_batches);
}

TEST_CASE("PartialSums: 1 to 16 parts of one and of two micro-batches add up as so many ranks") {
  static_assert(PlanOf<Reproducible<16>>::averages);
  for (int ranks : {16, 8, 4, 2, 1}) {
    check_sums<PlanOf<Reproducible<16>>>(ranks);
    check_sums<PlanOf<Reproducible<16>, GradAccum<2>>>(ranks);
  }
  check_sums<PlanOf<Reproducible<12>>>(3);
}

TEST_CASE("PartialSums: without Reproducible there is one part, where the strategy keeps it") {
  using Plan = PlanOf<GradAccum<3>>;
  detail::PartialSums<Plan> sums(5);
  static_assert(std::is_empty_v<detail::PartialSums<Plan>> && sums.parts() == 1);
  float own = 0;
  CHECK(sums.gradients(1, &own) == &own);
  CHECK(sums.averages(&own) == &own);
  CHECK((sums.begin(0) && !sums.begin(1) && !sums.begin(2)));
}

}  // namespace
