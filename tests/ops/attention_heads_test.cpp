// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/attention_heads_test.cpp: heads lie side by side and fill a row.
#include <doctest/doctest.h>

#include <cohort/ops/attention_heads.hpp>
#include <type_traits>

using namespace cohort;

TEST_CASE("attention heads: queries, keys and values fill a row without gaps") {
  using H = ops::AttentionHeads<6, 2, 5>;
  int at = 0;
  for (int head = 0; head < 6; ++head, at += 5) CHECK(H::q(head) == at);
  CHECK(at == H::width);
  for (int head = 0; head < 2; ++head, at += 5) CHECK(H::k(head) == at);
  for (int head = 0; head < 2; ++head, at += 5) CHECK(H::v(head) == at);
  CHECK(at == H::row);
  static_assert(H::group == 3);
  static_assert(std::is_same_v<ops::EqualHeads<4, 8>, ops::AttentionHeads<4, 4, 8>>);
  static_assert(ops::EqualHeads<4, 8>::row == 3 * 4 * 8);
}
