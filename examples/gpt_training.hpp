// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_training.hpp: the gpt examples' training: text in, progress and metrics on the way, a sample out.
#pragma once
#include "gpt_arguments.hpp"
#include "gpt_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cohort/data/corpus.hpp>
#include <cohort/data/loader.hpp>
#include <cohort/data/windows.hpp>
#include <cohort/io/metrics.hpp>
#include <cohort/io/progress.hpp>
#include <cstdio>
#include <optional>

namespace example {

using namespace cohort;

constexpr int vocabulary = 256, block = 64;  // ids are bytes: any text fits
using Model = Gpt<vocabulary, block, 4, 128, 4>;

/// Mean loss over up to `most` batches of the validation split, all of it for most = 0. Collective.
double validate(auto& run, const data::EvaluationBlocks& blocks, int most) {
  auto batch = blocks.batch();
  LossSum total;
  const std::int64_t count =
      most > 0 ? std::min<std::int64_t>(most, blocks.num_batches()) : blocks.num_batches();
  for (std::int64_t b = 0; b < count; ++b) {
    blocks(b, batch);
    total += run.evaluate(batch);
  }
  return total.mean();
}

/// Continues the prompt token by token; every rank draws the same ones. Collective.
std::string generate(auto& run, const data::CharCorpus& corpus, const GptArguments& a) {
  std::vector<int> tokens = corpus.encode(a.prompt);
  for (int i = 0; i < a.sample; ++i) {
    const int length = std::min<int>(block, static_cast<int>(tokens.size()));
    const auto logits = run.predict(Tokens{tokens.data() + tokens.size() - length, {1, length}});
    std::array<float, vocabulary> last{};
    for (int v = 0; v < vocabulary;
         ++v)  // of the last token, in fp32 whatever the model computes in
      last[v] = static_cast<float>(logits.data[(length - 1) * vocabulary + v]);
    const float highest = *std::max_element(last.begin(), last.end());
    std::array<double, vocabulary> weights{};
    double left = 0;
    for (int v = 0; v < vocabulary; ++v)
      left += weights[v] = std::exp((last[v] - highest) / a.temperature);
    left *=
        uniform01(a.seed, random_stream(RandomUse::generation, 0), static_cast<std::uint64_t>(i));
    int next = 0;
    while (next + 1 < vocabulary && (left -= weights[next]) >= 0) ++next;
    tokens.push_back(next);
  }
  return corpus.decode(tokens);
}

template <class Run> void train(auto& world, const GptArguments& a) {
  const auto corpus = data::CharCorpus::from_file(a.data);
  const data::Place place{world.rank(), world.size(), a.batch};
  const data::EvaluationBlocks validation(corpus.validation(), block, place);
  data::Loader loader(
      data::RandomWindows(corpus.train(), block, place, a.seed),
      {.workers = 0, .count = a.steps});  // a copy of 12 x 64 bytes is cheaper than a hand-over
  auto run = Run::on(world, {.seed = a.seed,
                             .batch = a.batch,
                             .tokens = block,
                             .learning_rate = a.learning_rate,
                             .optimizer = {.beta2 = 0.99, .weight_decay = 0.1},
                             .schedule = {.warmup_steps = std::min(100, a.steps / 10),
                                          .total_steps = a.steps,
                                          .min_learning_rate = a.learning_rate / 10}});
  if (a.plan && world.rank() == 0) print(Run::plan, run.sizes());
  std::optional<io::Metrics> log;
  if (!a.log.empty() && world.rank() == 0) log.emplace(a.log);
  const double tokens_per_step = double(a.batch) * block * world.size();
  io::Progress progress(
      world.rank(), {.steps = a.steps,
                     .tokens_per_step = tokens_per_step,
                     .steps_per_epoch = double(corpus.train().tokens.size()) / tokens_per_step});
  for (auto& batch : loader) {
    const StepReport r = run.step(batch);
    if (r.step % a.eval_every == 0 && r.step < a.steps) {
      const double val = validate(run, validation, a.eval_batches);
      progress.validation(val);
      if (log) log->write({{"step", r.step}, {"val_loss", val}});
    }
    progress.update(r.loss, r.learning_rate, loader.seconds_waiting());
    if (log)
      log->write({{"step", r.step},
                  {"loss", r.loss},
                  {"lr", r.learning_rate},
                  {"grad_norm", r.grad_norm}});
  }
  progress.finish();
  const double val = validate(run, validation, 0);
  if (log)
    log->write({{"step", a.steps}, {"val_loss", val}, {"val_tokens", validation.num_targets()}});
  const std::string text = generate(run, corpus, a);
  if (world.rank() == 0)
    std::printf("validation loss %.4f over all %lld tokens\n---\n%s\n", val,
                static_cast<long long>(validation.num_targets()), text.c_str());
}

/// Runs a Trainer type as a program. Returns what main returns.
template <class Run> int gpt_main(int argc, char** argv) {
  const GptArguments a = gpt_arguments(argc, argv);
  try {
    launch<Threads>({.ranks = a.ranks}, [&](auto& world) { train<Run>(world, a); });
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

}  // namespace example
