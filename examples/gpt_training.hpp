// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_training.hpp: the gpt examples' training: text in, progress and metrics on the way, a sample out.
#pragma once
#include "gpt_arguments.hpp"
#include "gpt_model.hpp"
#include "gpt_saving.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cohort/data/corpus.hpp>
#include <cohort/data/loader.hpp>
#include <cohort/data/windows.hpp>
#include <cohort/io/interrupt.hpp>
#include <cohort/io/metrics.hpp>
#include <cohort/io/progress.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

namespace example {

using namespace cohort;

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

template <class Run> auto make_run(auto& world, const GptArguments& a) {
  return Run::on(world, {.seed = a.seed,
                         .batch = a.batch,
                         .tokens = block,
                         .learning_rate = a.learning_rate,
                         .optimizer = {.beta2 = 0.99, .weight_decay = 0.1},
                         .schedule = {.warmup_steps = std::min(100, a.steps / 10),
                                      .total_steps = a.steps,
                                      .min_learning_rate = a.learning_rate / 10}});
}

/// One rank's training.
template <class Run, class World> class Training {
 public:
  Training(World& world, const GptArguments& a)
      : world_(world),
        a_(a),
        corpus_(data::CharCorpus::from_file(a.data)),
        place_{world.rank(), world.size(), a.batch},
        validation_(corpus_.validation(), block, place_),
        run_(make_run<Run>(world, a)),
        saving_(run_, a) {}

  /// Returns the program's exit code.
  int operator()(const std::optional<std::string>& from) {
    if (a_.plan && speaks()) print(Run::plan, run_.sizes());
    if (from)
      say(saving_.resume(*from));
    else if (a_.resume)
      say("'" + a_.save + "' holds no checkpoint yet: the run begins at step 0");
    const std::int64_t first = run_.steps_done();
    open_log(from.has_value(), first);
    const int signal = steps(first);
    if (signal == 0) report(first);
    return signal == 0 ? 0 : 128 + signal;
  }

 private:
  bool speaks() const { return world_.rank() == 0; }
  void say(const std::string& text) const {
    if (speaks()) std::fprintf(stderr, "%s\n", text.c_str());
  }
  void open_log(bool resumed, std::int64_t first) {
    if (a_.log.empty() || !speaks()) return;
    if (resumed) io::cut_metrics(a_.log, first);
    log_.emplace(a_.log, resumed ? io::Metrics::Open::append : io::Metrics::Open::replace);
  }

  /// Trains until the last step, or the one in which a signal came, and saves it. Returns the signal.
  int steps(std::int64_t first) {
    std::optional<io::Interrupt> interrupt;  // without --save a signal ends the program, as ever
    if (saving_.wanted()) interrupt.emplace();
    data::Loader loader(data::RandomWindows(corpus_.train(), block, place_, a_.seed),
                        {.workers = 0,  // a copy of 12 x 64 bytes is cheaper than a hand-over
                         .first = first,
                         .count = std::max<std::int64_t>(a_.steps - first, 0)});
    const double tokens_per_step = double(a_.batch) * block * world_.size();
    io::Progress progress(world_.rank(), {.steps = a_.steps,
                                          .first = first,
                                          .tokens_per_step = tokens_per_step,
                                          .steps_per_epoch = double(corpus_.train().tokens.size()) /
                                                             tokens_per_step});
    int signal = 0;
    for (auto& batch : loader) {
      const TimedReport r = run_.step(batch);
      evaluate(r.step, progress);
      progress.update(r.loss, r.learning_rate, loader.seconds_waiting());
      write(r, tokens_per_step);
      if (r.step == first + 1)
        run_.forget_times();  // the first step touches memory for the first time
      saving_.stepped(r.step);
      if (interrupt) signal = io::agreed(world_);
      if (signal != 0) break;
    }
    progress.finish();
    if (a_.timings) say_times();
    saving_.finish();
    saving_.trace();
    if (signal != 0)
      say((signal == SIGINT ? "SIGINT" : "SIGTERM") +
          (" after step " + std::to_string(run_.steps_done())) + ": saved in '" + a_.save +
          "'; to go on, give the same arguments and --resume");
    return signal;
  }

  /// With --save the last step may be the best one too.
  void evaluate(std::int64_t step, auto& progress) {
    const bool last = step == a_.steps;
    if (last ? !saving_.wanted() : step % a_.eval_every != 0) return;
    const double val = validate(run_, validation_, a_.eval_batches);
    progress.validation(val);
    if (log_) log_->write({{"step", step}, {"val_loss", val}});
    saving_.validated(val);
  }
  /// Without --timings a run that is made again, or resumed, writes the same bytes.
  void write(const TimedReport& r, double tokens) {
    if (!log_) return;
    if (!a_.timings)
      return log_->write({{"step", r.step},
                          {"loss", r.loss},
                          {"lr", r.learning_rate},
                          {"grad_norm", r.grad_norm}});
    log_->write({{"step", r.step},
                 {"loss", r.loss},
                 {"lr", r.learning_rate},
                 {"grad_norm", r.grad_norm},
                 {"tokens_per_s", tokens / r.step_s},
                 {"step_s", r.step_s},
                 {"comm_s", r.comm_s},
                 {"exposed_comm_s", r.exposed_comm_s},
                 {"memory_bytes", run_.memory().total()}});
  }

  /// Where the time of the steps went, on all ranks.
  void say_times() {
    const WorldTimes t = run_.times_of_all_ranks();
    char text[160];
    std::snprintf(
        text, sizeof text,
        "a step took %.3g ms, %.3g ms of it waiting for communication: a share of %.1f %%",
        1e3 * t.mean.step_s, 1e3 * t.mean.exposed_comm_s, 100 * t.communication_share());
    say(text);
  }

  /// Validates over everything and prints a sample.
  void report(std::int64_t first) {
    const double val = validate(run_, validation_, 0);
    const auto targets = validation_.num_targets();
    if (log_ && first < a_.steps)
      log_->write({{"step", a_.steps}, {"val_loss", val}, {"val_tokens", targets}});
    const std::string text = generate(run_, corpus_, a_);
    if (speaks())
      std::printf("validation loss %.4f over all %lld tokens\n---\n%s\n", val,
                  static_cast<long long>(targets), text.c_str());
  }

  World& world_;
  const GptArguments& a_;
  data::CharCorpus corpus_;
  data::Place place_;
  data::EvaluationBlocks validation_;
  typename Run::template execution<World> run_;
  Saving<typename Run::template execution<World>> saving_;
  std::optional<io::Metrics> log_;
};

/// Runs a Trainer type as a program. Returns what main returns.
template <class Run> int gpt_main(int argc, char** argv) {
  const GptArguments a = gpt_arguments(argc, argv);
  try {
    const auto from = Saving<typename Run::template execution<Threads>>::prepare(a);
    int code = 0;
    launch<Threads>({.ranks = a.ranks}, [&]<class World>(World& world) {
      const int mine = Training<Run, World>(world, a)(from);
      if (world.rank() == 0) code = mine;
    });
    return code;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

}  // namespace example
