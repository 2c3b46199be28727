// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/golden_test.cu: the CPU's golden runs on a real GPU, as near to fp64 as PyTorch's.
#include <cohort/cuda.hpp>

#include <doctest/doctest.h>

#include "../golden/parity.hpp"

using namespace cohort;

namespace {

TEST_CASE("golden: biases, tanh GELU, a head of its own, on 1 to 3 ranks of one GPU") {
  golden::check_parity<golden::Untied, 1, Cuda>();
}
TEST_CASE("golden: no biases, exact GELU, tied head, two micro-batches") {
  golden::check_parity<golden::Tied, 2, Cuda>();
}

}  // namespace
