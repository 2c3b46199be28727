// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/in_place.hpp: a loss whose gradient is written over the output, beside one that has its own memory.
#pragma once
#include <doctest/doctest.h>

#include <cohort/policies/detect_anomaly.hpp>

#include "support.hpp"

namespace cohort::test {

/// Cross entropy whose gradient has memory of its own: that it may overwrite is not inherited.
struct Beside : nn::CrossEntropy {};
template <class Case, class Loss, class... Ps>
using RunWith = Trainer<typename Case::Model, Loss, ClipGradNorm, Ps...>;

template <class Case, class... Ps> void check_in_place() {
  using InPlace = RunWith<Case, nn::CrossEntropy, Ps...>;
  using Own = RunWith<Case, Beside, Ps...>;
  static_assert(InPlace::plan_type::loss_in_place && !Own::plan_type::loss_in_place);
  static_assert(!RunWith<Case, nn::CrossEntropy, Ps..., DetectAnomaly>::plan_type::loss_in_place);
  constexpr Sizes sizes{.ranks = 2, .batch = 6, .tokens = Case::tokens};
  constexpr Rows rows{6 / InPlace::plan_type::micro_batches, Case::tokens};
  static_assert(
      InPlace::plan.memory(sizes).activations +
          Case::Model::Output::template bytes<typename InPlace::plan_type::compute>(rows) ==
      Own::plan.memory(sizes).activations);
  const Setup setup{.ranks = 2, .each = 6, .steps = 4};
  const auto own = train<Own, Case>(setup);
  CHECK(all_same(train<InPlace, Case>(setup), own[0]));
}

}  // namespace cohort::test
