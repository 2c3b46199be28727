// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/counted.hpp: bytes that a run hands to MPI and heap that it takes, counted from outside.
#pragma once
#include <cohort/mpi.hpp>

#include <doctest/doctest.h>

#include "mpi/sent.hpp"
#include "mpi/support.hpp"
#include "support/allocations.hpp"

namespace cohort::test::counted {

// Every group, and every bucket, is long enough to travel in shares rather than whole to everybody.
using Model = nn::Sequential<nn::Repeat<3, nn::Sequential<nn::Linear<96, 96>, nn::ReLU<96>>>,
                             nn::Linear<96, 64>>;
template <class How, int M = 1, class Mode = KeepUnsharded, class Precision = MixedPrecision<fp32>>
using RunOf = Trainer<Model, nn::CrossEntropy, DataParallel<How>, GradAccum<M, Mode>, Precision,
                      Buckets<1 << 14, 1 << 15>, ClipGradNorm, optim::AdamW>;
using Half = MixedPrecision<bf16, fp32>;
constexpr int batch = 6;

/// One rank's rows, the same on all.
struct Rows96 {
  std::vector<float> x = std::vector<float>(batch * 96, 0.5f);
  std::vector<std::int32_t> y = std::vector<std::int32_t>(batch, 3);
};
template <class Run> void take_steps(Run& run, int steps) {
  const Rows96 rows;
  for (int k = 0; k < steps; ++k) run.step({rows.x.data(), {batch}}, {rows.y.data(), {batch}});
}

// ---------------------------------------------------------------- on the wire

/// What all ranks together hand to MPI in a step, without the envelopes.
template <class Run> std::int64_t measured_bytes(StreamMode stream) {
  constexpr int steps = 4;
  std::int64_t sum = 0;
  on_processes([&](Mpi& world) {
    auto run = Run::on(world, {.batch = batch, .stream = stream});
    take_steps(run, 1);
    const Sent before = sent();
    take_steps(run, steps);
    const Sent after = sent();
    sum = after.bytes - before.bytes -
          static_cast<std::int64_t>(sizeof(cohort::detail::Envelope)) *
              (after.messages - before.messages);
    world.all_reduce(&sum, 1);
  });
  CHECK(sum % steps == 0);  // every step sends the same
  return sum / steps;
}

/// How often a step moves the root group and the other groups (gathers and reductions together).
struct Moves {
  std::int64_t root, others;
};

/// All ranks' bytes by the published formulas: ranks share a copy in groups of S, which are N / S. A
/// gather or a reduction of B bytes over n ranks is (n - 1) B in all, an all-reduce 2 (n - 1) B.
template <class Run> std::int64_t formula(std::int64_t N, Moves moves) {
  using Plan = typename Run::plan_type;
  constexpr bool sharded = !std::is_same_v<typename Plan::data, Replicate>;
  constexpr std::int64_t element = sizeof(typename Plan::reduce);  // gathers have the same size
  static_assert(element == sizeof(typename Plan::compute));
  const std::int64_t S = Plan::shard_group(static_cast<int>(N)), copies = N / S;
  const std::int64_t loss =
      N * (N - 1) * 16;  // sum and weight in fp64, from everybody to everybody
  if (!sharded) return 2 * (N - 1) * static_cast<std::int64_t>(Plan::layout.size) * element + loss;
  const auto whole =
      static_cast<std::int64_t>(Plan::shards.shard(static_cast<int>(S))) * S * element;
  const auto root =
      static_cast<std::int64_t>(Plan::shards.padded(0, static_cast<int>(S))) * element;
  const std::int64_t norm = copies * S * (S - 1) * std::int64_t{ops::ExactSum::num_limbs} * 8;
  const std::int64_t inside =
      copies * (S - 1) * (moves.root * root + moves.others * (whole - root));
  const std::int64_t across = S < N ? 2 * (copies - 1) * whole : 0;
  return inside + across + loss + norm;
}

template <class Run> void check_bytes(const std::string& how, Moves moves) {
  using Plan = typename Run::plan_type;
  CAPTURE(how);
  const std::int64_t N = num_processes();
  const std::int64_t by_formula = formula<Run>(N, moves);
  // The ledger counts an all-reduce by the best algorithm; loss and norm go whole to everybody instead,
  // which is (N - 1) n bytes a rank where it says 2 (N - 1) / N n. It rounds each of them down.
  const Sizes sizes{.ranks = static_cast<int>(N), .batch = batch};
  const std::int64_t planned = N * static_cast<std::int64_t>(Plan::wire_bytes(sizes));
  const std::int64_t small =
      N * (N - 2) * 16 + N * (N - 2) * std::int64_t{ops::ExactSum::num_limbs} * 8;
  for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
    const std::int64_t bytes = measured_bytes<Run>(stream);
    CHECK(bytes == by_formula);
    CHECK(bytes >= planned);
    CHECK(bytes <= planned + small + 2 * N * Plan::num_collectives());
    if (N == 2) CHECK(bytes == planned);
  }
}

// ---------------------------------------------------------------- in memory

/// Bytes that the program's own code asked for, those that MPI and the system's libraries asked for, and
/// the highest sum of both.
struct Heap {
  std::int64_t own = 0, others = 0, peak = 0;
};
template <class F> Heap heap_of(F f) {
  Allocations counter;
  f();
  counter.stop();
  Heap heap{.peak = counter.all_threads().peak_bytes};
  for (const LibraryAllocations& part : counter.by_library())
    (part.library.find("mpi_test") != std::string::npos ? heap.own : heap.others) += part.bytes;
  return heap;
}

/// Forming a run and three steps: the planned arenas, what all ranks exchange of plan and options before, and
/// where copies are split the channels for it: memory of the communicator, measured apart.
template <class Run> void check_heap(const std::string& how) {
  if (!Allocations::available) return;
  CAPTURE(how);
  static constexpr int shard_ranks = Run::plan_type::data::shard_ranks;
  on_processes([](Mpi& world) {
    const auto train = [&] {
      auto run = Run::on(world, {.batch = batch, .stream = StreamMode::on_compute_thread});
      take_steps(run, 3);
    };
    train();  // MPI takes its own buffers
    const Rows96 rows;
    const Heap axes = heap_of([&] { const Axes<Mpi> split(world, shard_ranks); });
    const Heap heap = heap_of([&] {
      auto run = Run::on(world, {.batch = batch, .stream = StreamMode::on_compute_thread});
      for (int k = 0; k < 3; ++k) run.step({rows.x.data(), {batch}}, {rows.y.data(), {batch}});
    });
    const Sizes sizes{.ranks = world.size(), .batch = batch};
    const auto planned = static_cast<std::int64_t>(Run::plan.peak_bytes(sizes));
    const std::int64_t agreement = 56 * world.size();
    CHECK(heap.own == planned + agreement + axes.own);
    CHECK(heap.peak >= planned);
    CHECK(heap.peak <= planned + axes.own + heap.others);
  });
}

}  // namespace cohort::test::counted
