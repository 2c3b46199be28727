// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/unit_work_test.cpp: a model's work by unit adds up, and what lies between units has its place.
#include <cohort/plan/unit_work.hpp>

#include <doctest/doctest.h>

#include <cohort/nn/activations.hpp>
#include <cohort/nn/attention.hpp>
#include <cohort/nn/embedding.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/repeat.hpp>
#include <cohort/nn/sequential.hpp>

using namespace cohort;

namespace {

constexpr Rows rows{1, 4};
using Block = nn::Sequential<nn::Linear<6, 8>, nn::Gelu<8>, nn::Linear<8, 6>>;
constexpr double block = 2. * 4 * 96;

TEST_CASE("unit work: elements of a Repeat, and layers before and behind it") {
  using Model = nn::Sequential<nn::Embedding<5, 6>, nn::Repeat<3, Block>, nn::Linear<6, 5>>;
  constexpr UnitWork<Model, CutAtRepeat> work(rows);
  static_assert(work.num_units == 5);
  static_assert(work.forward[0] == 0 && work.forward[4] == 2 * 4 * 30);
  for (int u = 1; u <= 3; ++u) {
    CHECK(work.forward[u] == block);
    CHECK(work.backward[u] == 2 * block);
  }
  CHECK(work.total().forward == work_of<Model>(rows).forward);
  CHECK(work.total().backward == work_of<Model>(rows).backward);
}

TEST_CASE("unit work: a tied head comes behind its body, and first in backward") {
  using Model = nn::TiedEmbedding<5, 6, nn::Sequential<nn::Repeat<2, Block>, nn::Gelu<6>>>;
  constexpr double head = 2. * 4 * 30;
  constexpr UnitWork<Model, CutAtRepeat> work(rows);
  static_assert(work.num_units == 3);  // its own table, and two blocks
  CHECK(work.forward[0] == 0);
  CHECK(work.forward[1] == block);
  CHECK(work.forward[2] == block + head);
  CHECK(work.backward[2] == 2 * block);
  CHECK(work.before_backward[2] == 2 * head);
  CHECK(work.total().forward == work_of<Model>(rows).forward);
}

}  // namespace
