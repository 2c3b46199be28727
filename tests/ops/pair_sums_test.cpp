// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/pair_sums_test.cpp: leaves added in the order of a tree, against the tree of ranks' sums.
#include <doctest/doctest.h>

#include <bit>
#include <cohort/comm/sum.hpp>
#include <cohort/ops/pair_sums.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {

/// Adds `leaves` arrays up as one rank does the parts of several: sums without a partner wait.
template <class T> std::vector<T> added_in_pairs(const std::vector<std::vector<T>>& leaves) {
  const std::size_t n = leaves[0].size(), stride = n + 7;
  std::vector<T> waiting(16 * stride), newest;
  for (unsigned p = 0; p < leaves.size(); ++p) {
    newest = leaves[p];
    const int pairs = std::countr_one(p), depth = std::popcount(p);
    T* const to = waiting.data() + static_cast<std::size_t>(depth - pairs) * stride;
    if (pairs == 0)
      std::copy(newest.begin(), newest.end(), to);
    else
      ops::add_pairs(cpu, n, static_cast<const T*>(to), stride, pairs,
                     static_cast<const T*>(newest.data()), to);
  }
  waiting.resize(n);
  return waiting;
}

}  // namespace

TEST_CASE_TEMPLATE("add_pairs: the bits of the sum over as many ranks", T, float, double) {
  for (const std::size_t n : {1, 2, 31, 512, 513, 1300}) {
    for (const int ranks : {1, 2, 4, 8, 16}) {
      std::vector<std::vector<T>> leaves;
      for (int r = 0; r < ranks; ++r) leaves.push_back(normal<T>(n, 1 + unsigned(r)));
      std::vector<T> want(n);
      detail::sum_into<T>([&](int r) { return leaves[std::size_t(r)].data(); }, ranks, n,
                          want.data());
      CHECK(same_bits(added_in_pairs(leaves), want));
    }
  }
}

TEST_CASE("add_pairs: another order has other bits; the result may lie over the newest") {
  // 1 + (2^-24 + 2^-24) is seen, (1 + 2^-24) + 2^-24 is not.
  const float tiny = std::ldexp(1.0f, -24), sums[] = {1.0f, tiny};
  float newest = tiny;
  ops::add_pairs(cpu, 1, sums, 1, 2, static_cast<const float*>(&newest), &newest);
  CHECK(newest == 1.0f + 2 * tiny);
  CHECK((sums[0] + sums[1]) + tiny == 1.0f);
}
