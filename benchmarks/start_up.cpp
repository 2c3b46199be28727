// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/start_up.cpp: from process start to the end of the first step of the demo model on two ranks.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "../examples/gpt_model.hpp"
#include "step_server.hpp"

using namespace cohort;

using Run = Trainer<example::Gpt<256, 64, 4, 128, 4>, nn::CrossEntropy, ClipGradNorm>;

/// What the child does: a world of two ranks, a run, one step.
int first_step() {
  launch<Threads>({.ranks = 2}, [](auto& world) {
    constexpr int batch = 12, tokens = 64;
    auto run = Run::on(world, {.seed = 1, .batch = batch, .tokens = tokens});
    const std::vector<int> ids(batch * tokens, 7);
    run.step(Tokens{ids.data(), {batch, tokens}}, Tokens{ids.data(), {batch, tokens}});
  });
  return 0;
}

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "--child") return first_step();
  std::vector<double> ms;
  for (int i = 0; i < 21; ++i) {
    const double begin = bench::now_us();
    const pid_t child = fork();
    if (child == 0) {
      execl("/proc/self/exe", argv[0], "--child", static_cast<char*>(nullptr));
      _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) return 1;
    ms.push_back((bench::now_us() - begin) / 1e3);
  }
  std::nth_element(ms.begin(), ms.begin() + 10, ms.end());
  std::printf(
      "{\"bench\": \"start_up\", \"metric\": \"first_step_2_ranks\", \"value\": %.1f, \"unit\": "
      "\"ms\", \"goal\": 100}\n",
      ms[10]);
}
