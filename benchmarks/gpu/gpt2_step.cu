// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/gpu/gpt2_step.cu: optimizer steps of GPT-2 124M on one GPU, served to a driver; memory against the plan.
//
// gpt2_step [--batch N] [--tokens N] [--graph] [--tune] [--ranks N: threads that share the GPU]
#include "../../examples/gpt2_training.hpp"
#include "../step_server.hpp"
#include "counted_memory.hpp"

#include <cohort/comm/threads.hpp>
#include <cstdlib>
#include <cstring>

using namespace cohort;

namespace {

struct Arguments {
  int batch = 32, tokens = 1024;
  bool graph = false, tune = false;
};

Arguments read(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--graph") == 0) a.graph = true;
    if (std::strcmp(argv[i], "--tune") == 0) a.tune = true;
    if (i + 1 == argc) break;
    if (std::strcmp(argv[i], "--batch") == 0) a.batch = std::atoi(argv[i + 1]);
    if (std::strcmp(argv[i], "--tokens") == 0) a.tokens = std::atoi(argv[i + 1]);
  }
  return a;
}

/// Bytes that nobody holds. Counts what the libraries took, and other programs on the GPU.
std::size_t free_bytes() {
  std::size_t free = 0, total = 0;
  cuda::check(cudaMemGetInfo(&free, &total));
  return free;
}

/// What the plan says, what cudaMalloc gave to cohort's code, and how much less the GPU has now.
template <class Run> std::string info(const Run& run, std::size_t free_before, double loss) {
  return io::json(
      {{"gpu", cuda::Context(0).name()},
       {"ranks", run.size()},
       {"batch", run.sizes().batch},
       {"tokens", run.sizes().tokens},
       {"tokens_per_step",
        std::size_t(run.sizes().batch) * std::size_t(run.sizes().tokens) * std::size_t(run.size())},
       {"flops_per_token", example::Gpt2_124M::flops(run.sizes().tokens)},
       {"planned_bytes", run.memory().total() * std::size_t(run.size())},
       {"counted_bytes", bench::most_counted_bytes()},
       {"taken_bytes", free_before - free_bytes()},
       {"loss", loss}});
}

/// Answers "run K" with the mean microseconds of K steps that were queued at once and waited for.
template <class Run> void serve(auto& world, const Arguments& a, std::size_t free_before) {
  auto run = Run::template on<Cuda>(
      world,
      {.seed = 1337,
       .batch = a.batch,
       .tokens = a.tokens,
       .learning_rate = 6e-4,
       .optimizer = {.beta2 = 0.95, .weight_decay = 0.1},
       .schedule = {.warmup_steps = 700, .total_steps = 1 << 20, .min_learning_rate = 6e-5}});
  const data::SyntheticTokens rows(example::gpt2_ids, a.tokens,
                                   {world.rank(), world.size(), a.batch}, 1,
                                   data::SyntheticPattern::octaves);
  std::vector<data::TokenBatch> batches(8, rows.batch());
  for (std::size_t i = 0; i < batches.size(); ++i) rows(std::int64_t(i), batches[i]);
  std::size_t next = 0;
  const auto steps = [&](std::int64_t count) {
    const double begin = bench::now_us();
    for (std::int64_t i = 0; i < count; ++i) run.enqueue(batches[next++ % batches.size()]);
    const double loss = run.wait().loss;
    return std::pair{(bench::now_us() - begin) / double(count), loss};
  };
  if (a.tune) {
    steps(1);
    for (const auto& p : run.tune_products()) std::fprintf(stderr, "%s\n", to_string(p).c_str());
  }
  const double loss = steps(3).second;  // algorithms are chosen, a graph is captured
  bench::serve_runs(world, info(run, free_before, loss), [&](std::int64_t count) {
    return count > 0 ? std::vector{steps(count).first} : std::vector<double>{};
  });
}

}  // namespace

int main(int argc, char** argv) {
  using Eager = example::Gpt2Run<example::Gpt2_124M, DataParallel<Replicate>>;
  using Replayed = example::Gpt2Run<example::Gpt2_124M, DataParallel<Replicate>, CudaGraph>;
  const Arguments a = read(argc, argv);
  return launch<Threads>(argc, argv,
                         [&](auto& world) {
                           const std::size_t free_before =
                               free_bytes();  // the first call starts CUDA on the GPU
                           world.barrier();
                           if (a.graph)
                             serve<Replayed>(world, a, free_before);
                           else
                             serve<Eager>(world, a, free_before);
                         },
                         {.ranks = 1});
}
