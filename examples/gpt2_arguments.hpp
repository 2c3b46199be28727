// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt2_arguments.hpp: what the gpt2 programs read from their command lines.
#pragma once
#include <cstdint>
#include <string>

namespace example {

struct Gpt2Arguments {
  std::string data, validation, log, gpus;
  std::string init, export_to;  // weights in Hugging Face's format
  int batch = 32, tokens = 1024, steps = 1000, warmup = -1, print_every = 10;
  int eval_every = 250, eval_batches = 20, ranks = 0, plan = 0;
  std::uint64_t seed = 1337;
  double learning_rate = 6e-4, peak_tflops = 0;
  bool graph = false, tune = false;

  int warmup_steps() const { return warmup >= 0 ? warmup : (steps / 10 < 700 ? steps / 10 : 700); }
};

/// Reads the command line. Exits with a message where it cannot be read, and for --help.
Gpt2Arguments gpt2_arguments(int argc, char** argv);

}  // namespace example
