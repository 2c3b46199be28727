// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/embedding_test.cpp: gather, ordered scatter-add, and tokens out of range.
#include <doctest/doctest.h>

#include <cohort/ops/embedding.hpp>
#include <string>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE("embedding: forward copies rows", T, float, double) {
  constexpr int V = 11, C = 21;
  const auto weight = normal<T>(V * C, 1);
  const auto tokens = integers(40, V, 2);
  std::vector<T> y(40 * C);
  ops::embedding_forward<V, C>(cpu, 40, tokens.data(), weight.data(), y.data());
  for (int r = 0; r < 40; ++r)
    for (int c = 0; c < C; ++c) REQUIRE(y[r * C + c] == weight[tokens[r] * C + c]);
}

TEST_CASE("embedding: backward adds the rows of each token in order, after zeroing the table") {
  constexpr int V = 11, C = 21, rows = 40;
  const auto dy = normal<float>(rows * C, 1);
  const auto tokens = integers(rows, V - 1, 2);  // token 10 never occurs
  std::vector<float> dw(V * C, 99.0f), want(V * C, 0.0f);
  for (bool first : {true, false}) {
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < C; ++c) want[tokens[r] * C + c] += dy[r * C + c];
    ops::embedding_backward<V, C>(cpu, rows, tokens.data(), dy.data(), dw.data(), first);
    CHECK(same_bits(dw, want));
  }
}

TEST_CASE("embedding: a token outside the vocabulary is an error that names it, before any write") {
  const std::vector<float> weight(8 * 4, 1.0f);
  for (int bad : {8, -1, 1 << 30}) {
    const std::vector<std::int32_t> tokens = {0, 7, 3, bad, 1};
    std::vector<float> y(5 * 4, 9.0f);
    std::string text;
    try {
      ops::embedding_forward<8, 4>(cpu, 5, tokens.data(), weight.data(), y.data());
    } catch (const InvalidInput& e) {
      text = e.what();
    }
    CHECK(text.find("token " + std::to_string(bad) + " at row 3") != std::string::npos);
    CHECK(text.find("[0, 8)") != std::string::npos);
    CHECK(y == std::vector<float>(5 * 4, 9.0f));
  }
}

TEST_CASE_TEMPLATE("embedding: 16-bit rows are copied; their gradients are summed in fp32", T, bf16,
                   fp16) {
  constexpr int V = 11, C = 21, rows = 40;
  const auto weight = normal<T>(V * C, 1), dy = normal<T>(rows * C, 2);
  const auto tokens = integers(rows, V, 3);
  std::vector<T> y(rows * C);
  ops::embedding_forward<V, C>(cpu, rows, tokens.data(), weight.data(), y.data());
  for (int r = 0; r < rows; ++r)
    REQUIRE(same_bits(y.data() + r * C, weight.data() + tokens[r] * C, C));
  std::vector<float> dw(V * C, 99.0f), want(V * C, 99.0f);
  const auto wide = as<float>(dy);
  for (bool first : {true, false}) {
    ops::embedding_backward<V, C>(cpu, rows, tokens.data(), dy.data(), dw.data(), first);
    ops::embedding_backward<V, C>(cpu, rows, tokens.data(), wide.data(), want.data(), first);
    CHECK(same_bits(dw, want));
  }
}
