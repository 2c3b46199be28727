// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/print.hpp: the plan for people: print(plan, {.ranks = 8, .batch = 64, .tokens =
// 128}).
#pragma once
#include <algorithm>
#include <cohort/core/readable_bytes.hpp>
#include <cohort/plan/plan.hpp>
#include <iostream>
#include <string>

namespace cohort {

namespace detail {
inline std::string column(std::string text, std::size_t width, bool right = true) {
  if (text.size() >= width) return text;
  return right ? std::string(width - text.size(), ' ') + text
               : text + std::string(width - text.size(), ' ');
}

/// Where the compute stream is at a marker, in words.
template <class Markers> std::string marker_name(int marker, int units) {
  if (marker == Markers::begin) return "begin";
  if (marker <= units) return "forward of unit " + std::to_string(marker - 1);
  if (marker == Markers::forward_ended) return "end of forward";
  if (marker == Markers::squared) return "sum of squares";
  if (marker == Markers::updated) return "update";
  const int k = marker - units - 2, unit = units - 1 - k / 2;
  return std::string(k % 2 == 0 ? "begin" : "end") + " of backward of unit " + std::to_string(unit);
}

/// What an operation is about.
inline std::string subject(const Op& op) {
  if (op.kind == OpKind::loss) return "loss";
  if (op.kind == OpKind::norm) return "norm";
  if (op.kind == OpKind::averages) return "averages";
  if (op.axis == Axis::world) return "bucket " + std::to_string(op.id);
  return (op.id == 0 ? "root" : "group " + std::to_string(op.id)) +
         (op.axis == Axis::replicate ? " copies" : "") + (op.frozen ? " frozen" : "");
}

/// An operation as traces call it: "all_gather group 2".
inline std::string op_title(const Op& op) { return std::string(name(op.kind)) + " " + subject(op); }

template <class P> void print_units(std::ostream& out) {
  constexpr int most = 12;  // rows shown at each end of a long table
  out << "units (hooks fire here; group 0 is the root)\n   unit  group  parameters        "
         "elements\n";
  for (int u = 0; u < P::num_units; ++u) {
    if (P::num_units > 2 * most && u == most) {
      out << "    ...  (" << P::num_units - 2 * most << " more)\n";
      u = P::num_units - most;
    }
    const UnitInfo& unit = P::layout.units[static_cast<std::size_t>(u)];
    out << column(std::to_string(u), 7)
        << column(std::to_string(P::groups.of[static_cast<std::size_t>(u)]), 7)
        << column(std::to_string(unit.num_params), 12)
        << column(std::to_string(unit.size + unit.frozen_size + unit.averaged_size), 16)
        << (unit.frozen_size == 0 ? ""
            : unit.size == 0      ? "  frozen"
                                  : "  partly frozen")
        << (unit.own ? "  own parameters of a divided layer" : "") << "\n";
  }
}

template <class P, MicroBatch M>
void print_program(std::ostream& out, const char* which, int ranks) {
  constexpr const auto& program = P::template program<M>;
  out << "collectives of the " << which << " micro-batch, in order of issue\n";
  if (program.count == 0) out << "   none\n";
  for (int i = 0; i < program.count; ++i) {
    const Op& op = program.op[static_cast<std::size_t>(i)];
    const std::string what = detail::subject(op);
    out << "   " << column(std::string(name(op.kind)), 15, false) << column(what, 12, false)
        << column(std::to_string(op.count), 12) << " " << name(op.dtype)
        << column(readable_bytes(wire_bytes(P::issued(op, ranks))), 14) << " sent   after "
        << marker_name<typename P::markers>(op.after, P::num_units) << "\n";
  }
}
}  // namespace detail

/// Prints what a step does on one of s.ranks ranks: units and groups, collectives in order, bytes
/// on the wire, bytes of memory by class. It reads the very tables that the trainer executes.
template <class Model, class Loss, class Slots, class Device>
void print(const Plan<Model, Loss, Slots, Device>&, Sizes s, std::ostream& out = std::cout) {
  using P = Plan<Model, Loss, Slots, Device>;
  const MemoryBytes m = P::memory(s);
  const int count = P::micro_batches_on(s.ranks);
  out << "plan: " << P::layout.num_elements() << " parameters ("
      << P::layout.size + P::layout.frozen + P::layout.averaged << " with padding) in "
      << P::layout.num_params << " tensors, " << P::num_units << " units, " << P::groups.count
      << " groups\n";
  if (P::layout.frozen > 0) {
    out << "frozen: " << P::layout.num_frozen_elements()
        << " of the parameters have no gradient and no optimizer state\n";
  }
  if (P::averages) {
    out << "averages: " << P::layout.num_averaged_elements()
        << " of the parameters follow the data, no gradient and no optimizer state\n";
  }
  if (sizeof(typename P::compute) < sizeof(float) || P::casts_reductions) {
    out << "precision: compute " << name(dtype_of<typename P::compute>) << ", masters "
        << name(dtype_of<typename P::master>) << ", gradients "
        << name(dtype_of<typename P::gradient>) << ", reduced in "
        << name(dtype_of<typename P::reduce>) << (P::scales_loss ? ", loss scaled" : "")
        << (P::rounds_at_random ? ", rounded at random" : "") << "\n";
  }
  out << "step: " << s.ranks << " ranks x " << s.batch << " samples x " << s.tokens
      << " tokens = " << P::effective_batch(s) << " samples, " << count << " micro-batch"
      << (count == 1 ? "" : "es") << " of " << P::micro_batch(s) << "\n";
  if constexpr (P::has_parts) {
    out << "order: the bits of " << P::order_ranks << " ranks, " << P::parts(s.ranks)
        << " of them on each\n";
  }
  if constexpr (P::in_tree_order && !P::has_parts) out << "order: sums over ranks are a tree\n";
  detail::print_units<P>(out);
  if constexpr (P::micro_batches == 1)
    if (count == 1) detail::print_program<P, MicroBatch::only>(out, "only", s.ranks);
  if constexpr (P::accumulates) {
    if (count > 1) detail::print_program<P, MicroBatch::first>(out, "first", s.ranks);
    if constexpr (P::has_parts || P::micro_batches > 2)
      if (count > 2) detail::print_program<P, MicroBatch::middle>(out, "middle", s.ranks);
    if (count > 1) detail::print_program<P, MicroBatch::last>(out, "last", s.ranks);
  }
  out << "wire: " << readable_bytes(P::wire_bytes(s)) << " sent by each rank in a step, "
      << P::num_collectives(s.ranks) << " collectives\nmemory on each rank\n";
  const auto row = [&](const char* what, std::size_t n) {
    out << "   " << detail::column(what, 14, false) << detail::column(std::to_string(n), 16)
        << " B " << detail::column(readable_bytes(n), 12) << "\n";
  };
  row("parameters", m.parameters);
  if (m.frozen > 0) row("  frozen part", m.frozen);
  if (m.masters > 0) row("masters", m.masters);
  row("gradients", m.gradients);
  row("optimizer", m.optimizer);
  if (m.gathered > 0) row("gathered", m.gathered);
  if (m.wire > 0) row("reduced type", m.wire);
  if (m.averages > 0) row("averages", m.averages);
  if (m.partial_sums > 0) row("partial sums", m.partial_sums);
  if (m.exchange > 0) row("exchange", m.exchange);
  if (m.inputs > 0) row("inputs", m.inputs);
  if (m.workspace > 0) row("workspace", m.workspace);
  if (m.trace > 0) row("trace", m.trace);
  row("tables", m.tables);
  row("activations", m.activations);
  row("backward", m.backward);
  row("scratch", m.scratch);
  row("total", m.total());
}

}  // namespace cohort
