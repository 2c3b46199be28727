// expect-error: cohort: positions of attention are NoPositions, Rope<Base>, or a type with static
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/attention_of_pair.cpp: positions that do not say how far a pair turns.
#include <cohort/nn/attention.hpp>

using namespace cohort;

struct Halved {
#ifdef VALID
  static double of_pair(int pair, int pairs) { return nn::Rope<>::of_pair(pair, pairs) / 2; }
#endif
};
constexpr std::size_t bytes = sizeof(nn::GroupedQueryAttention<8, 2, 1, 4, Halved>);
