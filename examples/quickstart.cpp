// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/quickstart.cpp: a layer of your own, trained on two ranks. Try: quickstart --ranks 4
#include <cohort/cohort.hpp>
#include <cstdio>
#include <vector>

using namespace cohort;

// y = x * scale, feature by feature. A layer names its parameters and what goes in and out; forward
// returns the output and what backward needs; backward adds into g and returns dx.
template <int C> struct Scale {
  using Params = cohort::Params<Initialised<Param<"scale", C>, init::Ones>>;
  using Input = Features<C>;
  using Output = Features<C>;

  template <class T> static auto forward(auto& ctx, const auto& p, Tensor<const T, C> x) {
    const auto y = ctx.like(x);  // (rows, C)
    y.map() = x.map() * p["scale"_p].map().row(0).asDiagonal();
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto& p, const auto& saved, Tensor<const T, C> dy,
                       const auto& g) {
    g["scale"_p].map() += dy.map().cwiseProduct(saved["x"_p].map()).colwise().sum();
    const auto dx = ctx.like(dy);  // (rows, C)
    dx.map() = dy.map() * p["scale"_p].map().row(0).asDiagonal();
    return dx;
  }
};
static_assert(Layer<Scale<64>>);  // says in one sentence what is missing

using Model = nn::Sequential<nn::Linear<2, 64>, nn::Gelu<64>, Scale<64>, nn::Linear<64, 1>>;
using Run = Trainer<Model, nn::MeanSquaredError<1>, DataParallel<Replicate>, GradAccum<2>,
                    ClipGradNorm, optim::AdamW>;
static_assert(Run::plan.peak_bytes({.ranks = 2, .batch = 64}) <
              1_MiB);  // known before anything runs

int main(int argc, char** argv) {
  return launch<Threads>(
      argc, argv,
      [](auto& world) {
        constexpr int batch = 64;  // this rank's rows of one step
        if (world.rank() == 0) print(Run::plan, {.ranks = world.size(), .batch = batch});
        auto run = Run::on(world, {.seed = 1337, .batch = batch, .learning_rate = 1e-2});

        std::vector<float> x(2 * batch), y(batch);
        for (int step = 0; step < 500; ++step) {
          for (int i = 0; i < batch; ++i) {  // learn x0 * x1 from rows that no other rank has
            const auto row =
                static_cast<std::uint64_t>((step * world.size() + world.rank()) * batch + i);
            x[2 * i] = 2 * uniform01(1, 0, row) - 1;
            x[2 * i + 1] = 2 * uniform01(1, 1, row) - 1;
            y[i] = x[2 * i] * x[2 * i + 1];
          }
          const Rows rows{batch};
          const StepReport r = run.step({x.data(), rows}, {y.data(), rows});
          if (world.rank() == 0 && (step + 1) % 100 == 0)
            std::printf("step %d  loss %.5f\n", step + 1, r.loss);
        }
      },
      {.ranks = 2});
}
