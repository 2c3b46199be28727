// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/golden_test.cpp: the CPU's golden runs, by the kernels of a GPU.
#include <cohort/cuda.hpp>

#include <doctest/doctest.h>

#include "golden/parity.hpp"

using namespace cohort;

namespace {

TEST_CASE("golden, GPU: biases, tanh GELU, a head of its own: as near to fp64 as PyTorch's") {
  golden::check_parity<golden::Untied, 1, Cuda>({2});
}
TEST_CASE("golden, GPU: no biases, exact GELU, tied head, two micro-batches") {
  golden::check_parity<golden::Tied, 2, Cuda>({1});
}
TEST_CASE("golden, GPU: with the token table and attention frozen") {
  golden::check_parity<golden::PartlyFrozen, 1, Cuda>({1});
}

}  // namespace
