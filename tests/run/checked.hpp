// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/checked.hpp: the gradients of a model of the zoo, by differences.
#pragma once
#include <cohort/run/check_gradients.hpp>

#include <doctest/doctest.h>

#include "../support/models.hpp"

namespace cohort::test {

template <class Case> void check_case() {
  INFO(Case::name());
  for (std::uint64_t seed : {1, 2}) {
    const GradientCheck check = check_gradients<typename Case::Model>(
        {.rows = {3, Case::tokens}, .seed = seed, .tokens_below = 11, .most_each = 10});
    CAPTURE(check.where);
    CHECK(check.ok());
  }
}

}  // namespace cohort::test
