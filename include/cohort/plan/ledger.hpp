// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/ledger.hpp: bytes: of memory by class, and on the wire by collective.
#pragma once
#include <cohort/plan/schedule.hpp>

namespace cohort {

/// What the plan's functions of size depend on. `batch` = samples of one rank in one optimizer
/// step.
struct Sizes {
  int ranks = 1;
  int batch = 1;
  int tokens = 1;
};

/// Bytes on one rank that a strategy takes once. `gathered` is what holds groups whole for a part of a
/// step; the rest is this rank's own state from the first step to the last.
struct PersistentBytes {
  std::size_t parameters = 0, gradients = 0, optimizer = 0, tables = 0, gathered = 0;
  std::size_t frozen = 0;   // part of parameters that has no gradient
  std::size_t masters = 0;  // where parameters are not what the optimizer updates
  std::size_t wire = 0;     // gradients in the type they are reduced in, where that is another one
};

/// Bytes on one rank by class; each class is one arena of exactly this size.
struct MemoryBytes {
  std::size_t parameters = 0, gradients = 0, optimizer = 0;
  std::size_t tables = 0;       // of chunks: decay flags, places in the layout
  std::size_t activations = 0;  // of forward; the loss's gradient too where it is not in place
  std::size_t backward = 0;     // gradients of activations
  std::size_t scratch = 0;
  std::size_t gathered =
      0;  // whole parameters and gradients of groups, of strategies that shard them
  std::size_t frozen = 0;    // part of parameters that has no gradient
  std::size_t masters = 0;   // what the optimizer updates, where parameters have another type
  std::size_t wire = 0;      // gradients in the type they are reduced in, where that is another one
  std::size_t averages = 0;  // averaged parameters, their sums and rates
  std::size_t partial_sums = 0;  // gradients of Reproducible's parts that wait to be added to
  std::size_t exchange = 0;      // what peers send for sums in tree order; NCCL alone takes it
  std::size_t inputs = 0;        // two steps' rows, on devices that the host cannot write to
  std::size_t workspace = 0;     // of such a device's ops, and what it remembers between steps
  std::size_t trace = 0;         // spans that Traced keeps
  constexpr std::size_t total() const {
    return parameters + gradients + optimizer + tables + activations + backward + scratch +
           gathered + masters + wire + averages + partial_sums + exchange + inputs + workspace +
           trace;
  }
};

/// A planned operation at a given world size: `count` as the communicator takes it.
struct IssuedOp {
  OpKind kind = OpKind::all_reduce;
  DType dtype = DType::f32;
  std::size_t count = 0;
  int ranks = 1;  // that take part
};

/// Bytes that one rank sends for one operation, by the bandwidth-optimal algorithm: an all-reduce is a
/// reduce-scatter and an all-gather.
constexpr std::size_t wire_bytes(const IssuedOp& op) {
  const auto others = static_cast<std::size_t>(op.ranks - 1);
  const std::size_t payload = op.count * bytes(op.dtype);
  if (op.kind == OpKind::reduce_scatter || op.kind == OpKind::all_gather) return payload * others;
  return 2 * (payload * others / static_cast<std::size_t>(op.ranks));
}

/// Bytes as literals: 2_GiB.
namespace literals {
/// 2^10 bytes each.
constexpr std::size_t operator""_KiB(unsigned long long n) { return n << 10; }
/// 2^20 bytes each.
constexpr std::size_t operator""_MiB(unsigned long long n) { return n << 20; }
/// 2^30 bytes each.
constexpr std::size_t operator""_GiB(unsigned long long n) { return n << 30; }
}  // namespace literals
using namespace literals;

}  // namespace cohort
