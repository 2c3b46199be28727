// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_arguments.cpp: the gpt example's command line, in a file of its own: the parser's header takes
// as long to compile as the training.
#include "gpt_arguments.hpp"

#include <CLI/CLI.hpp>

namespace {

const CLI::Range some(1, 1'000'000'000), any(0, 1'000'000'000), positive(1e-9, 1e9);

void add_training(CLI::App& app, example::GptArguments& a) {
  app.add_option("--data", a.data, "text file to train on")->required();
  app.add_option("--ranks", a.ranks, "ranks, each a thread")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--steps", a.steps, "optimizer steps in all, those before --resume included")
      ->capture_default_str()
      ->check(some);
  app.add_option("--batch", a.batch, "rows per rank per step")->capture_default_str()->check(some);
  app.add_option("--seed", a.seed, "seed of weights, batches and sample")->capture_default_str();
  app.add_option("--lr", a.learning_rate, "highest learning rate")
      ->capture_default_str()
      ->check(positive);
}

void add_saving(CLI::App& app, example::GptArguments& a) {
  auto* save = app.add_option(
      "--save", a.save,
      "directory for checkpoints: at the end and on a signal, and in its folder best the one of "
      "the lowest validation loss");
  app.add_option("--save-every", a.save_every, "also after so many steps; 0: not")
      ->capture_default_str()
      ->check(any)
      ->needs(save);
  app.add_option("--keep", a.keep, "newest checkpoints that stay; 0: all")
      ->capture_default_str()
      ->check(any)
      ->needs(save);
  app.add_flag("--resume", a.resume,
               "go on from the latest checkpoint of --save, where there is one")
      ->needs(save);
}

void add_reports(CLI::App& app, example::GptArguments& a) {
  app.add_option("--eval-every", a.eval_every, "steps between validations")
      ->capture_default_str()
      ->check(some);
  app.add_option("--eval-batches", a.eval_batches,
                 "batches of each validation, the last one excepted")
      ->capture_default_str()
      ->check(any);
  app.add_option("--log", a.log,
                 "write metrics to this file, one JSON object a line; --resume writes it on");
  app.add_flag("--timings", a.timings,
               "log also seconds of the step, of communication and of what compute waited for it, "
               "tokens/s and planned bytes (rank 0's): such a log is another one every time");
  auto* trace = app.add_option(
      "--trace", a.trace,
      "write what each rank's streams did in the last steps to this file, for ui.perfetto.dev");
  app.add_option("--trace-steps", a.trace_steps, "so many of them; 0: all that are kept")
      ->capture_default_str()
      ->check(any)
      ->needs(trace);
  app.add_option("--sample", a.sample, "tokens to generate at the end")
      ->capture_default_str()
      ->check(any);
  app.add_option("--prompt", a.prompt, "text that the sample continues");
  app.add_option("--temperature", a.temperature, "of the sample")
      ->capture_default_str()
      ->check(positive);
  app.add_flag("--plan", a.plan, "print the plan of a step first");
}

}  // namespace

example::GptArguments example::gpt_arguments(int argc, char** argv) {
  GptArguments a;
  CLI::App app("Trains a GPT (4 layers, 128 wide, 64 tokens) on a text file, byte by byte.");
  app.footer(
      "With --save, SIGINT (Ctrl-C) and SIGTERM end the run after the step at hand: it is saved, "
      "and "
      "the\nexit code is 128 + the signal's number (130, 143). A second one ends it at once. "
      "Otherwise\nthe exit code is 0, or 1 after an error.");
  add_training(app, a);
  add_saving(app, a);
  add_reports(app, a);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app.exit(e));
  }
  return a;
}
