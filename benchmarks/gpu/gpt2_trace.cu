// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/gpu/gpt2_trace.cu: a timeline of one step of GPT-2 124M whose ranks share a GPU, as Chrome trace JSON.
//
// gpt2_trace [--ranks N] [--batch N] [--tokens N] [--full-shard] [--trace FILE]
#include "trace.hpp"

#include "../../examples/gpt2_training.hpp"

#include <cstdlib>
#include <cstring>

using namespace cohort;

namespace {

struct Arguments {
  int batch = 8, tokens = 1024;
  bool full_shard = false;
  std::string trace = "trace.json";
};

Arguments read(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--full-shard") == 0) a.full_shard = true;
    if (i + 1 == argc) break;
    if (std::strcmp(argv[i], "--batch") == 0) a.batch = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--tokens") == 0) a.tokens = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--trace") == 0) a.trace = argv[i + 1];
  }
  return a;
}

/// GPT-2 124M whose blocks mark where they begin and end.
struct TracedGpt2 {
  using Block = bench::Marked<example::Gpt2_124M::Block>;
  using Model = example::Gpt2Of<Block, 12, 768>;
};

/// What the ranks hand to rank 0.
struct Shared {
  cuda::Event base{cuda::Event::Timing::yes};
  std::vector<std::string> events, overlaps;  // by rank
  std::vector<std::vector<double>> begins;
  explicit Shared(int ranks)
      : events(std::size_t(ranks)), overlaps(std::size_t(ranks)), begins(std::size_t(ranks)) {}
};

void write(const Shared& shared, const std::string& file) {
  io::TraceWriter out(file);
  for (const std::string& events : shared.events) out.events(events);
  out.commit();
  for (const auto& line : shared.overlaps) std::printf("%s\n", line.c_str());
}

void note(Shared& shared, Threads& threads, bool full_shard) {
  const int rank = threads.rank();
  const auto& spans = bench::Tracer::mine().measure(shared.base);
  shared.events[std::size_t(rank)] = bench::chrome_events(spans, rank);
  shared.begins[std::size_t(rank)] = bench::begins_of_collectives(spans);
  threads.barrier();
  const bench::Overlap o = bench::overlap_of(spans, shared.begins);
  shared.overlaps[std::size_t(rank)] =
      io::json({{"strategy", full_shard ? "FullShard" : "Replicate"},
                {"rank", rank},
                {"step_us", o.step_us},
                {"waits_us", o.waits_us},
                {"collectives_us", o.collectives_us},
                {"hidden_us", o.hidden_us}});
}

template <class Run> void trace(Threads& threads, const Arguments& a, Shared& shared) {
  bench::TracedThreads world(threads.duplicate());
  auto run = Run::template on<Cuda>(world, {.seed = 1337,
                                            .batch = a.batch,
                                            .tokens = a.tokens,
                                            .learning_rate = 6e-4,
                                            .schedule = {.total_steps = 100}});
  const data::SyntheticTokens rows(example::gpt2_ids, a.tokens,
                                   {world.rank(), world.size(), a.batch}, 1);
  auto batch = rows.batch();
  rows(0, batch);
  for (int i = 0; i < 3; ++i) run.step(batch);
  bench::Tracer& tracer = bench::Tracer::mine();
  if (world.rank() == 0) shared.base.record(tracer.compute_stream());
  threads.barrier();
  tracer.start();
  tracer.mark("embedding");
  run.enqueue(batch);
  tracer.stop();
  run.wait();
  note(shared, threads, a.full_shard);
  threads.barrier();
  if (world.rank() == 0) write(shared, a.trace);
}

}  // namespace

int main(int argc, char** argv) {
  using Replicated = example::Gpt2Run<TracedGpt2, DataParallel<Replicate>>;
  using Sharded = example::Gpt2Run<TracedGpt2, DataParallel<FullShard>>;
  const Arguments a = read(argc, argv);
  std::unique_ptr<Shared> shared;
  return launch<Threads>(argc, argv,
                         [&](auto& world) {
                           if (world.rank() == 0) {
                             cuda::check(cudaSetDevice(0));
                             shared = std::make_unique<Shared>(world.size());
                           }
                           world.barrier();
                           if (a.full_shard)
                             trace<Sharded>(world, a, *shared);
                           else
                             trace<Replicated>(world, a, *shared);
                         },
                         {.ranks = 2});
}
