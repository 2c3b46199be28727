// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nvcc/two_compilers_test.cpp: .cu and .cpp in one program, each with its own code for the CPU.
#include <doctest/doctest.h>

#include "training.hpp"

namespace two_compilers {

Results by_cxx() { return measure(); }

}  // namespace two_compilers

TEST_CASE("nvcc: a bf16 training by nvcc and one by the C++ compiler agree, in one program") {
  const auto nvcc = two_compilers::by_nvcc(), cxx = two_compilers::by_cxx();
  REQUIRE(nvcc.losses.size() == 10);
  REQUIRE(cxx.losses.size() == 10);
  // The first loss: one forward, whose bf16 roundings (2^-8 each) differ where fp32 sums of other
  // order fall on the other side of a tie; ten in a row. Later ones move apart with the training.
  CHECK(std::fabs(nvcc.losses[0] - cxx.losses[0]) <= 10 * 0x1p-8 * cxx.losses[0]);
  CHECK(nvcc.losses[9] < 0.8 * nvcc.losses[0]);
  CHECK(cxx.losses[9] < 0.8 * cxx.losses[0]);
  REQUIRE(nvcc.attention.size() == cxx.attention.size());
  // Softmax of sums of 20 products, then a sum of 37: some units of fp32 each.
  double worst = 0;
  for (std::size_t i = 0; i < cxx.attention.size(); ++i)
    worst = std::max(worst, double(std::fabs(nvcc.attention[i] - cxx.attention[i])));
  CHECK(worst <= (20 + 37) * 0x1p-24 * 4);  // 4: the largest value
}
