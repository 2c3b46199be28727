// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_arguments.hpp: what the gpt example reads from its command line.
#pragma once
#include <cstdint>
#include <string>

namespace example {

struct GptArguments {
  std::string data, log, save, trace, prompt = "\n";
  int ranks = 2, steps = 2000, batch = 12, eval_every = 250, eval_batches = 40, sample = 500;
  int save_every = 0, keep = 2, trace_steps = 20;
  std::uint64_t seed = 1337;
  double learning_rate = 1e-3, temperature = 0.8;
  bool plan = false, resume = false, timings = false;
};

/// Reads the command line. Exits with a message where it cannot be read, and for --help.
GptArguments gpt_arguments(int argc, char** argv);

}  // namespace example
