// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/golden_test.cu: the CPU's golden runs on a real GPU, as near to fp64 as PyTorch's.
#include <cohort/cuda.hpp>

#include <doctest/doctest.h>

#include "../golden/parity.hpp"
#include "../run/mixed_parity.hpp"
#include "support.hpp"

using namespace cohort;

namespace {

TEST_CASE("golden: biases, tanh GELU, a head of its own, on 1 to 3 ranks of one GPU") {
  for (int ranks = 1; ranks <= gpu_test::size(3, 1); ++ranks)
    golden::check_parity<golden::Untied, 1, Cuda>({ranks});
}
TEST_CASE("golden: no biases, exact GELU, tied head, two micro-batches") {
  for (int ranks = 1; ranks <= gpu_test::size(3, 1); ++ranks)
    golden::check_parity<golden::Tied, 2, Cuda>({ranks});
}
TEST_CASE("golden: with the token table and attention frozen") {
  golden::check_parity<golden::PartlyFrozen, 1, Cuda>({1});
}
/// The GPU's kernels round to 16 bits elsewhere than the CPU's bodies, so not each gradient is PyTorch's on the CPU.
TEST_CASE("golden: in bf16 with fp32 masters, as near to fp64 as PyTorch's autocast") {
  namespace parity = test::mixed_parity;
  const golden::Golden file = golden::load("mixed_bf16_tied");
  const parity::Trained ours =
      parity::train_on<Cuda, golden::Tied, MixedPrecision<bf16, fp32, fp32>>(
          file, 2, static_cast<int>(file.number("steps")));
  parity::check_distances<golden::Tied>(ours, file);
  CHECK(parity::share_without(16, ours.parameters, parity::any) < 0.01);  // masters, not bf16
}

}  // namespace
