// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/golden_parity_test.cpp: twenty clipped AdamW steps of two GPTs are as close to fp64 as
// PyTorch's own, on one and several ranks (tests/golden/gpt_golden.py wrote the other side).
#include <doctest/doctest.h>

#include "../golden/parity.hpp"

using namespace cohort;

namespace {

using golden::Tied, golden::Untied, golden::PartlyFrozen;

TEST_CASE("golden: a GPT without biases, tied head, exact GELU is as near to fp64 as PyTorch's") {
  golden::check_parity<Tied, 1>();
}
TEST_CASE("golden: with the token table and attention frozen it is as near to fp64 as PyTorch's") {
  golden::check_parity<PartlyFrozen, 1>();
  const std::vector<NamedTensor> gradients =
      golden::train<PartlyFrozen, 1, DefaultCpu>(1, golden::load<PartlyFrozen>("start"))
          .first_gradients;
  CHECK(gradients.size() ==
        1 + golden::layers * 6 + 2 + 1);  // wpe, ln_2 and mlp of each block, ln_f, head
}
TEST_CASE(
    "golden: a GPT with biases, its own head, tanh GELU, two micro-batches is as near to fp64 as "
    "PyTorch's") {
  golden::check_parity<Untied, 2>();
}

}  // namespace
