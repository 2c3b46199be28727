// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/job.cpp: a program as users write it, with a fault of choice: job FAULT [--ranks N].
#include <cohort/mpi.hpp>

#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace cohort;
using namespace std::chrono_literals;

namespace {

using Model = nn::Sequential<nn::Linear<4, 8>, nn::ReLU<8>, nn::Linear<8, 2>>;

/// y = x, except on the step of the fault.
struct Faulty {
  using Input = Features<2>;
  using Output = Features<2>;
  static inline std::string fault;
  static inline int rank = 0, calls = 0;

  static auto forward(auto& ctx, const auto&, auto x) {
    if (rank == 1 && ++calls == 3) strike();
    const auto y = ctx.like(x);
    y.map() = x.map();
    return Out{y, keep(ctx)};
  }
  static auto backward(auto& ctx, const auto&, const auto&, auto dy, const auto&) {
    const auto dx = ctx.like(dy);
    dx.map() = dy.map();
    return dx;
  }
  static void strike() {
    if (fault == "kill") std::raise(SIGKILL);
    if (fault == "exit") std::exit(3);
    if (fault == "throw") throw std::runtime_error("boom 42");
    if (fault == "late") std::this_thread::sleep_for(3s);
    if (fault == "hang") std::this_thread::sleep_for(600s);
  }
};

using Run = Trainer<nn::Sequential<Model, Faulty>, nn::CrossEntropy, optim::Sgd>;
using OtherRun = Trainer<nn::Sequential<Model, Faulty>, nn::CrossEntropy, optim::Sgd, GradAccum<2>>;

void train(Mpi& world) {
  Faulty::rank = world.rank();
  if (Faulty::fault == "plan" && world.rank() == 1)
    OtherRun::on(world, {.batch = 2});  // another binary
  auto run = Run::on(
      world,
      {.batch = 2, .learning_rate = Faulty::fault == "options" && world.rank() == 1 ? 0.2 : 0.1});
  if (Faulty::fault == "mismatch" && world.rank() == 1) world.barrier();
  const std::vector<float> x(8, 1);
  const std::vector<std::int32_t> y{0, 1};
  for (int step = 0; step < 5; ++step) {
    run.step({x.data(), {2, 1}}, {y.data(), {2, 1}});
  }
  if (world.rank() == 0) std::printf("done on %d\n", world.size());
}

}  // namespace

int main(int argc, char** argv) {
  Faulty::fault = argc > 1 ? argv[1] : "none";
  if (Faulty::fault == "twice") {
    launch<Mpi>(argc, argv, train);
    return launch<Mpi>(argc, argv, train);
  }
  return launch<Mpi>(argc, argv, train, {.timeout = 1s});
}
