// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt2_arguments.cpp: the gpt2 programs' command line, in a file of its own, which nvcc need not read.
#include "gpt2_arguments.hpp"

#include <CLI/CLI.hpp>
#include <filesystem>

namespace {

/// Hours of training should not end at a path that cannot be written. Returns what is wrong, for CLI11.
std::string why_not_a_new_file(const std::string& given) {
  const std::filesystem::path path(given);
  if (std::filesystem::is_directory(path))
    return "'" + given + "' is a directory: name a file in it, such as model.safetensors";
  const auto folder = path.has_parent_path() ? path.parent_path() : ".";
  if (!std::filesystem::is_directory(folder))
    return "the directory of '" + given + "' does not exist: make it first";
  return "";
}

void add_weights(CLI::App& app, example::Gpt2Arguments& a) {
  app.add_option(
         "--init", a.init,
         "weights to begin with, as Hugging Face's transformers saves GPT-2: a .safetensors "
         "file, the index of several, or their directory; without, random ones")
      ->check(CLI::ExistingPath);
  app.add_option("--export", a.export_to,
                 "write the trained weights to this .safetensors file, which transformers reads")
      ->check(CLI::Validator(why_not_a_new_file, "FILE"));
}

void add_training(CLI::App& app, example::Gpt2Arguments& a) {
  const CLI::Range some(1, 1'000'000'000), any(0, 1'000'000'000), positive(1e-9, 1e9);
  app.add_option("--data", a.data,
                 "tokens to train on: a .bin of llm.c or nanoGPT; without, random")
      ->check(CLI::ExistingFile);
  app.add_option("--val", a.validation, "tokens to validate on")->check(CLI::ExistingFile);
  app.add_option("--batch", a.batch, "rows per GPU per step")->capture_default_str()->check(some);
  app.add_option("--tokens", a.tokens, "tokens of a row")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--steps", a.steps, "optimizer steps; 0: only --init, --val and --export")
      ->capture_default_str()
      ->check(any);
  app.add_option("--lr", a.learning_rate, "highest learning rate")
      ->capture_default_str()
      ->check(positive);
  app.add_option("--warmup", a.warmup, "steps up to it; default a tenth of all, at most 700")
      ->check(any);
  app.add_option("--seed", a.seed, "seed of weights and random tokens")->capture_default_str();
  app.add_flag("--graph", a.graph, "capture the step into a CUDA graph and replay it");
  app.add_flag(
      "--tune", a.tune,
      "after the first step measure cuBLASLt's algorithms and use the quickest; two runs may "
      "then differ in roundings");
}

void add_reports(CLI::App& app, example::Gpt2Arguments& a) {
  const CLI::Range some(1, 1'000'000'000);
  app.add_option("--print-every", a.print_every, "steps between printed lines")
      ->capture_default_str()
      ->check(some);
  app.add_option("--eval-every", a.eval_every, "steps between validations")
      ->capture_default_str()
      ->check(some);
  app.add_option("--eval-batches", a.eval_batches, "batches of each validation")
      ->capture_default_str()
      ->check(some);
  app.add_option("--log", a.log, "write metrics to this file, one JSON object a line");
  app.add_option("--peak-tflops", a.peak_tflops, "what MFU divides by; known for H100 and H200 SXM")
      ->check(CLI::Range(1e-9, 1e9));
  app.add_option("--plan", a.plan, "print the plan of a step on so many GPUs and end; needs none")
      ->check(CLI::Range(1, 1 << 20));
}

}  // namespace

example::Gpt2Arguments example::gpt2_arguments(int argc, char** argv) {
  Gpt2Arguments a;
  CLI::App app(
      "Trains GPT-2 on GPUs in bf16 with fp32 masters. One GPU alone; several with --ranks or "
      "--gpus, "
      "or one process each under torchrun, srun or mpirun.");
  add_training(app, a);
  add_weights(app, a);
  add_reports(app, a);
  app.add_option("--ranks", a.ranks, "GPUs of this process, from number 0 on")
      ->check(CLI::Range(1, 1024));
  app.add_option("--gpus", a.gpus, "their numbers: 0,1,2,3");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app.exit(e));
  }
  return a;
}
