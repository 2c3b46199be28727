// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt2_training.hpp: the gpt2 programs' training: tokens in, loss, tokens a second and MFU out.
#pragma once
#include "gpt2_arguments.hpp"
#include "gpt2_weights.hpp"

#include <algorithm>
#include <chrono>
#include <cohort/checkpoint.hpp>
#include <cohort/cuda.hpp>
#include <cohort/data/loader.hpp>
#include <cohort/data/synthetic_tokens.hpp>
#include <cohort/data/token_file.hpp>
#include <cohort/io/metrics.hpp>
#include <cstdio>
#include <optional>
#include <string>

namespace example {

using namespace cohort;

/// bf16 over fp32 masters; what else there is to choose comes in Policies.
template <class Size, class... Policies>
using Gpt2Run = Trainer<typename Size::Model, Gpt2Loss, MixedPrecision<bf16, fp32>, ClipGradNorm,
                        optim::AdamW, optim::WarmupCosine, Policies...>;

/// Rows of the file that was named, or random ones.
class Gpt2Rows {
 public:
  Gpt2Rows(const std::string& file, data::Place place, const Gpt2Arguments& a)
      : random_(gpt2_ids, a.tokens, place, a.seed, data::SyntheticPattern::octaves) {
    if (!file.empty()) blocks_.emplace(data::TokenFile(file), a.tokens, place, gpt2_ids);
  }
  data::TokenBatch batch() const { return random_.batch(); }
  void operator()(std::int64_t step, data::TokenBatch& out) const {
    if (blocks_)
      (*blocks_)(step, out);
    else
      random_(step, out);
  }

 private:
  data::SyntheticTokens random_;
  std::optional<data::TokenBlocks> blocks_;
};

/// Dense bf16 operations of a GPU in a second, where its name says them; 0 elsewhere.
inline double peak_flops(const std::string& gpu, const Gpt2Arguments& a) {
  const bool hopper =
      gpu.find("H100") != std::string::npos || gpu.find("H200") != std::string::npos;
  const bool sxm = gpu.find("PCIe") == std::string::npos && gpu.find("NVL") == std::string::npos;
  return a.peak_tflops > 0 ? a.peak_tflops * 1e12 : hopper && sxm ? 989e12 : 0;
}

/// Measures and prints, on rank 0.
template <class Size, class Run> class Gpt2Report {
 public:
  Gpt2Report(const Run& run, const Gpt2Arguments& a, const std::string& gpu)
      : speaks_(run.rank() == 0),
        steps_(a.steps),
        tokens_(double(run.sizes().batch) * run.sizes().tokens * run.size()),
        flops_(Size::flops(a.tokens)),
        peak_(peak_flops(gpu, a) * run.size()) {
    if (!speaks_) return;
    if (!a.log.empty()) log_.emplace(a.log);
    std::printf("%zu parameters, %d x %s, %.0f tokens a step, %s a GPU planned\n", Size::parameters,
                run.size(), gpu.c_str(), tokens_, readable_bytes(run.memory().total()).c_str());
    std::printf("MFU = tokens/s x (6 N + 12 L C T = %.4g) / ", flops_);
    if (peak_ > 0)
      std::printf("(%d x %.4g TFLOP/s, dense bf16)\n", run.size(), peak_ / run.size() * 1e-12);
    else
      std::printf("peak: this GPU's is not known, give --peak-tflops\n");
  }

  /// Begins a stretch of steps; the report of its last one ends it.
  void start() { start_ = Clock::now(); }
  void stretch(int steps, const StepReport& r) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    start();
    if (!speaks_) return;
    const double rate = tokens_ * steps / seconds, mfu = peak_ > 0 ? rate * flops_ / peak_ : 0;
    std::printf("step %lld/%d  loss %.4f  norm %.3f  lr %.2e  %.0f tok/s  ",
                static_cast<long long>(r.step), steps_, r.loss, r.grad_norm, r.learning_rate, rate);
    std::printf(peak_ > 0 ? "%.1f%% MFU\n" : "MFU ?\n", 100 * mfu);
    std::fflush(stdout);
    if (log_)
      log_->write({{"step", r.step},
                   {"loss", r.loss},
                   {"grad_norm", r.grad_norm},
                   {"lr", r.learning_rate},
                   {"tokens_per_s", rate},
                   {"mfu", mfu}});
  }
  void validation(std::int64_t step, double loss) {
    if (speaks_)
      std::printf("step %lld  validation loss %.4f\n", static_cast<long long>(step), loss);
    if (log_) log_->write({{"step", step}, {"val_loss", loss}});
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool speaks_;
  int steps_;
  double tokens_, flops_, peak_;
  std::optional<io::Metrics> log_;
  Clock::time_point start_;
};

/// Mean loss over the first batches of the validation tokens. Collective.
double gpt2_validate(auto& run, const Gpt2Rows& rows, int batches) {
  auto batch = rows.batch();
  LossSum total;
  for (int b = 0; b < batches; ++b) {
    rows(b, batch);
    total += run.evaluate(batch);
  }
  return total.mean();
}

/// The file that --init names, compared with the model before a run takes a GPU's memory.
template <class Size> class Gpt2Init {
 public:
  explicit Gpt2Init(const std::string& path) {
    if (path.empty()) return;
    file_.emplace(path);
    names_ = file_->template names_for<Size>();
  }
  explicit operator bool() const { return file_.has_value(); }
  /// Gives the parameters their values. Collective.
  void operator()(auto& run) const {
    run.load_full(file_->path(), {.names = names_, .ignore = gpt2_may_ignore});
    if (run.rank() == 0) std::printf("begins with the weights of %s\n", file_->path().c_str());
  }

 private:
  std::optional<Gpt2File> file_;
  Gpt2Names names_;
};

template <class Size, class Trainer> void gpt2_train(auto& world, const Gpt2Arguments& a) {
  const Gpt2Init<Size> init(a.init);
  auto run = Trainer::on(world, {.seed = a.seed,
                                 .batch = a.batch,
                                 .tokens = a.tokens,
                                 .learning_rate = a.learning_rate,
                                 .optimizer = {.beta2 = 0.95, .weight_decay = 0.1},
                                 .schedule = {.warmup_steps = a.warmup_steps(),
                                              .total_steps = std::max(a.steps, 1),
                                              .min_learning_rate = a.learning_rate / 10}});
  const data::Place place{world.rank(), world.size(), a.batch};
  const Gpt2Rows validation(a.validation, place, a);
  data::Loader loader(Gpt2Rows(a.data, place, a), {.count = a.steps});
  Gpt2Report<Size, decltype(run)> report(run, a, cuda::Context(detail::gpu_of(world)).name());
  if (init) init(run);
  if (init && !a.validation.empty())
    report.validation(0, gpt2_validate(run, validation, a.eval_batches));
  report.start();
  for (int step = 1, printed = 0; step <= a.steps; ++step) {
    run.enqueue(loader.next());  // the host runs ahead of the GPU ...
    const bool validates = !a.validation.empty() && (step % a.eval_every == 0 || step == a.steps);
    if (step != 1 && step != a.steps && step % a.print_every != 0 && !validates) continue;
    report.stretch(step - printed, run.wait());  // ... and waits for it where it prints
    printed = step;
    if (step == 1 && a.tune) {
      const auto products = run.tune_products();
      for (const auto& p : products)
        if (run.rank() == 0) std::printf("  %s\n", to_string(p).c_str());
      report.start();
    }
    if (!validates) continue;
    report.validation(step, gpt2_validate(run, validation, a.eval_batches));
    report.start();
  }
  if (!a.export_to.empty()) run.save_full(a.export_to, {.names = Gpt2Names{}});
}

/// The program: GPT-2 of a size on a world of GPUs. Returns what main returns.
template <class World, class Size, class... Policies> int gpt2_main(int argc, char** argv) {
  using Eager = Gpt2Run<Size, Policies...>;
  using Replayed = Gpt2Run<Size, Policies..., CudaGraph>;
  static_assert(Eager::template plan_on<Cuda>::layout.num_elements() == Size::parameters);
  const Gpt2Arguments a = gpt2_arguments(argc, argv);
  if (a.plan > 0) {
    print(typename Eager::template plan_on<Cuda>{}, {a.plan, a.batch, a.tokens});
    return 0;
  }
  return launch<World>(argc, argv, [&](auto& world) {
    if (a.graph)
      gpt2_train<Size, Replayed>(world, a);
    else
      gpt2_train<Size, Eager>(world, a);
  });
}

}  // namespace example
