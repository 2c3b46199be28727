// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ptx/bits_test.cu: what a GPU makes of core/bits.hpp, and of sums that need it.
#include <doctest/doctest.h>

#include <cohort/core/bits.hpp>
#include <cohort/ops/exact_sum.hpp>

#include "support.hpp"

namespace {

using namespace cohort;

struct Counted {
  int zeros, ones, trailing;
};
struct Count {
  static constexpr int threads = 32;
  struct Shared {};
  int n;
  const unsigned long long* bits;
  Counted* counted;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    for (int i = block.thread(); i < n; i += threads) {
      const auto low = static_cast<unsigned>(bits[i]);
      counted[i] = {leading_zeros(bits[i]), ones(low), trailing_ones(low)};
    }
  }
};

struct Rounded {
  static constexpr int threads = 32;
  struct Shared {};
  const ops::ExactSum* sum;
  double* value;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    if (block.thread() == 0) *value = sum->value();
  }
};

TEST_CASE("bits: counts on a GPU are those of the host") {
  std::vector<unsigned long long> values = {0, 1, ~0ull, 0x7fffffff, 0xffffffff};
  for (int i = 0; i < 64; ++i) values.push_back(0x9e3779b97f4a7c15ull >> i);
  for (int i = 0; i < 32; ++i) values.push_back((1ull << i) - 1);
  const auto n = static_cast<int>(values.size());
  ptx_test::Array<unsigned long long> bits(values);
  ptx_test::Array<Counted> counted(std::vector<Counted>(values.size()));
  cuda::launch(ptx_test::gpu(), 1, Count{n, bits.data(), counted.data()});
  const auto got = counted.download();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto low = static_cast<unsigned>(values[i]);
    CHECK(got[i].zeros == std::countl_zero(values[i]));
    CHECK(got[i].ones == std::popcount(low));
    CHECK(got[i].trailing == std::countr_one(low));
  }
}

TEST_CASE("bits: an exact sum has the host's value on a GPU") {
  ops::ExactSum sum;
  for (const double x : {1.25, 3.5e-3, 77.0, 0x1p-1074, 1e300, 0x1p-60}) {
    sum.add(x);
    ptx_test::Array<ops::ExactSum> on_gpu({sum});
    ptx_test::Array<double> value(std::vector<double>(1));
    cuda::launch(ptx_test::gpu(), 1, Rounded{on_gpu.data(), value.data()});
    CHECK(value.download()[0] == sum.value());
  }
}

}  // namespace
