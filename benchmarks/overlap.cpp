// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/overlap.cpp: a step over a wire that takes its time, beside compute or in its way; run_overlap.py has the sums.
//
// Usage: overlap Replicate|FullShard [--ranks 2] [--stream inline|worker] [--wire NS_PER_BYTE]
#include <cohort/cohort.hpp>
#include <cohort/comm/delayed.hpp>

#include "strategies.hpp"

using namespace cohort;

namespace {

/// Every byte that a rank sends for a collective of floats, as the ledger counts them, takes so long: the
/// rank sleeps, so that the time needs no core. What is too short for a sleep is left out.
struct Wire {
  double ns_per_byte;
  int ranks, wire_ranks;  // of the world, and that bytes are counted for
  std::chrono::nanoseconds operator()(CollectiveKind kind, std::size_t count, std::uint64_t) const {
    IssuedOp op{OpKind::all_reduce, DType::f32, count, wire_ranks};
    if (kind == CollectiveKind::all_gather) op.kind = OpKind::all_gather;
    if (kind == CollectiveKind::reduce_scatter) op.kind = OpKind::reduce_scatter;
    if (kind == CollectiveKind::broadcast || kind == CollectiveKind::barrier || count < 1024)
      return {};
    if (op.kind != OpKind::all_reduce)  // counted by part, and a part of more ranks is smaller
      op.count = op.count * static_cast<std::size_t>(ranks) / static_cast<std::size_t>(wire_ranks);
    const auto ns = ns_per_byte * static_cast<double>(wire_bytes(op));
    return std::chrono::nanoseconds(ns < 20000 ? 0 : static_cast<std::int64_t>(ns));
  }
};

// Twelve layers, so that what stands before the first and behind the last is a small part of the step; buckets of
// a layer each, so that Replicate sends as often as FullShard.
using Model = example::NanoGpt<65, 64, 12, 128, 4>;
template <class How>
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<How>, Buckets<768 << 10, 768 << 10>,
                    ClipGradNorm, optim::AdamW, optim::WarmupCosine>;

}  // namespace

int main(int argc, char** argv) {
  bench::Choice choice = bench::parse(argc, argv);
  choice.wire_ranks = 2;  // one rank alone waits as long as one of two
  const auto serve = [&](Threads& threads) {
    Delayed world(threads.duplicate(),
                  Wire{choice.wire, threads.size(), std::max(choice.wire_ranks, threads.size())});
    const auto on = [&]<class How>() { bench::serve_steps<Run<How>>(world, choice); };
    if (!bench::for_strategy<Replicate, FullShard>(choice.strategy, {"Replicate", "FullShard"}, on))
      throw InvalidInput(-1, "overlap", "there is no strategy " + choice.strategy);
  };
  return launch<Threads>(argc, argv, serve, {.streams_per_rank = 2});
}
