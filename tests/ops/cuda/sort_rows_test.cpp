// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/sort_rows_test.cpp: the order of std::stable_sort, whatever the order of blocks.
#include <cohort/ops/cuda/sort_rows.hpp>

#include <numeric>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int V> void check(std::vector<std::int32_t> tokens) {
  CAPTURE(V);
  CAPTURE(tokens.size());
  const auto rows = static_cast<int>(tokens.size());
  Gpu gpu;
  GpuArray<std::int32_t> in(tokens), scratch(ops::kernels::sort_rows_integers(rows));
  const auto sorted = ops::kernels::sort_rows<V>(gpu, rows, in.view(), scratch.data());
  const auto memory = scratch.get();
  const std::int32_t* got_tokens = memory.data() + (sorted.tokens - scratch.view());
  const std::int32_t* got_order = memory.data() + (sorted.order - scratch.view());
  for (auto& t : tokens) t = ops::kernels::clamped(t, V);
  std::vector<std::int32_t> order(tokens.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return tokens[static_cast<std::size_t>(a)] < tokens[static_cast<std::size_t>(b)];
  });
  for (std::size_t i = 0; i < order.size(); ++i) {
    REQUIRE(got_order[i] == order[i]);
    REQUIRE(got_tokens[i] == tokens[static_cast<std::size_t>(order[i])]);
  }
}
}  // namespace

TEST_CASE("sort_rows: a stable order, in one, two and three passes") {
  for (const auto order : {cuda_double::Order::forward, cuda_double::Order::backward}) {
    cuda_double::set_order(order);
    for (const std::size_t rows : {0, 1, 31, 1023, 1024, 1025, 3000}) {
      check<2>(integers(rows, 2, 1));
      check<256>(integers(rows, 256, 2));
      check<257>(integers(rows, 257, 3));
      check<50304>(integers(rows, 50304, 4));
      check<65536>(integers(rows, 65536, 5));
      check<100000>(integers(rows, 100000, 6));
    }
    check<50304>(std::vector<std::int32_t>(2500, 777));
    check<2147483647>(integers(100, 2147483647, 7));
  }
  cuda_double::reset();
}

TEST_CASE("sort_rows: a token outside the vocabulary counts as 0") {
  check<300>({299, -1, 5, 300, 0, 2147483647, -100, 7});
}
