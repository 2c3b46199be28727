// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/parts.hpp: how ranks share the parts of the ranks whose bits Reproducible has.
#pragma once
#include <bit>
#include <cohort/core/error.hpp>
#include <string>

namespace cohort::detail {

/// How many of R ranks' parts each of `ranks` ranks does; 0 where they cannot share them: sums over ranks
/// are trees, and only a power of two of neighbours is a subtree in all of them.
constexpr int parts_of(int R, int ranks) {
  if (ranks < 1 || R % ranks != 0) return 0;
  const int parts = R / ranks;
  return std::has_single_bit(static_cast<unsigned>(parts)) ? parts : 0;
}

/// R, R / 2, R / 4, ...: "8, 4, 2 or 1".
inline std::string counts_for(int R) {
  std::string text = std::to_string(R);
  for (int n = R; n % 2 == 0;) {
    n /= 2;
    text += (n % 2 == 0 ? ", " : " or ") + std::to_string(n);
  }
  return text;
}
/// Its name is what a compiler says of a constant.
[[noreturn]] inline void throw_ranks_cannot_share_parts_of_Reproducible(int R, int ranks,
                                                                        int rank) {
  throw InvalidInput(rank, "Run::on",
                     "Reproducible<" + std::to_string(R) + "> trains on " + counts_for(R) +
                         " ranks, and there are " + std::to_string(ranks) +
                         ": start as many, or give it another number.");
}
/// The same, for plans.
///
/// Errors   InvalidInput where ranks cannot share the parts; a constant is none then.
constexpr int parts_on(int ranks, int R) {
  const int parts = parts_of(R, ranks);
  if (parts == 0) throw_ranks_cannot_share_parts_of_Reproducible(R, ranks, -1);
  return parts;
}

}  // namespace cohort::detail
