// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/waits.hpp: what compute waits for: operations that must be done before a unit may run.
#pragma once
#include <cohort/plan/schedule.hpp>
#include <cohort/plan/shards.hpp>

namespace cohort {

/// Counts of operations of one micro-batch's program, from its first. 0: nothing to wait for.
template <int U> struct Waits {
  std::array<int, U> forward{};   // the unit's parameters are whole
  std::array<int, U> backward{};  // they are whole again, and the slot of its gradients is free
  int reduced = 0;                // every gradient has been reduced, the loss is known
  int normed = 0;                 // the norm's exact sum is complete
};

/// The waits of one program.
template <int U, class Program, class Groups, class Shards>
constexpr Waits<U> make_waits(const Program& program, const Groups& groups, const Shards& shards) {
  using markers = Markers<U>;
  Waits<U> waits;
  for (int k = 0; k < program.count; ++k) {
    const Op& op = program.op[k];
    if (op.after < markers::squared) waits.reduced = k + 1;
    if (op.after <= markers::squared) waits.normed = k + 1;
    if (op.axis == Axis::world || op.kind == OpKind::norm) continue;
    // A gather serves its own group. A reduction frees the slot of gradients that it left, which the
    // group two before it uses next.
    const bool gathers = op.kind == OpKind::all_gather;
    const int g = gathers ? op.id : op.id - 2;
    if (g < 0 || (g == 0 && !gathers)) continue;
    for (int u = shards.first_unit[g]; u <= shards.last_unit[g]; ++u) {
      if (groups.of[u] != g) continue;
      if (gathers && op.after <= markers::forward(u)) waits.forward[u] = k + 1;
      if (op.after <= markers::backward(u)) waits.backward[u] = k + 1;
    }
  }
  return waits;
}

}  // namespace cohort
