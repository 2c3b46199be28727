// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/custom_layer.cpp: a layer that contains layers, checked against finite differences, then trained.
#include <cohort/cohort.hpp>
#include <cstdio>
#include <vector>

using namespace cohort;

// y = gate(x) * value(x) + mix * x: two branches over one input, a parameter of its own, elementwise
// products. Children are named like parameters and called through cohort::forward and
// cohort::backward: that is where strategies gather and reduce.
template <int C> struct GatedMix {
  using Params = cohort::Params<Initialised<Param<"mix", C>, init::Ones>>;
  using Children = cohort::Children<Child<"gate", nn::Linear<C, C>>,
                                    Child<"value", nn::Sequential<nn::Linear<C, C>, nn::Gelu<C>>>>;
  using Input = Features<C>;
  using Output = Features<C>;

  template <class T> static auto forward(auto& ctx, const auto& p, Tensor<const T, C> x) {
    const auto gate = cohort::forward(ctx, p["gate"_p], x);
    const auto value = cohort::forward(ctx, p["value"_p], x);
    const auto y = ctx.like(x);  // (rows, C)
    // wide() and assign() compute in fp32, whatever T is: the layer works in bf16 and fp16 as it is.
    y.assign(gate.y.wide().cwiseProduct(value.y.wide()) +
             x.wide() * p["mix"_p].wide().row(0).asDiagonal());
    return Out{y, keep(ctx, "x"_p = x, "gate_y"_p = gate.y, "value_y"_p = value.y,
                       "gate"_p = gate.saved, "value"_p = value.saved)};
  }

  template <class T>
  static auto backward(auto& ctx, const auto& p, const auto& s, Tensor<const T, C> dy,
                       const auto& g) {
    g["mix"_p].map() += dy.wide().cwiseProduct(s["x"_p].wide()).colwise().sum();
    // Temporaries come from scratch and are declared below; results from ctx.make and ctx.like.
    const Tensor<T, C> dgate{ctx.template scratch<T>(dy.size()), dy.rows};   // (rows, C)
    const Tensor<T, C> dvalue{ctx.template scratch<T>(dy.size()), dy.rows};  // (rows, C)
    dgate.assign(dy.wide().cwiseProduct(s["value_y"_p].wide()));
    dvalue.assign(dy.wide().cwiseProduct(s["gate_y"_p].wide()));
    // Children in reverse order of forward.
    const auto dx = cohort::backward(ctx, p["value"_p], s["value"_p], dvalue.view(), g["value"_p]);
    const auto dx_gate = cohort::backward(ctx, p["gate"_p], s["gate"_p], dgate.view(), g["gate"_p]);
    dx.assign(dx.wide() + (dx_gate.wide() + dy.wide() * p["mix"_p].wide().row(0).asDiagonal()));
    return dx;
  }
  template <class T> static constexpr std::size_t scratch_bytes(Rows rows) {
    return 2 * Tensor<T, C>::bytes(rows);
  }
};
static_assert(Layer<GatedMix<32>>);
static_assert(Layer<GatedMix<32>, DefaultCpu, bf16>);

using Model =
    nn::Sequential<nn::Linear<2, 32>, nn::Repeat<3, nn::Residual<GatedMix<32>>>, nn::Linear<32, 2>>;
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<Replicate>, Groups<Each<GatedMix<32>>>,
                    ClipGradNorm, optim::AdamW>;

int main(int argc, char** argv) {
  const GradientCheck check = check_gradients<GatedMix<32>>();
  std::printf("check_gradients: worst relative error %.1e (at %s) of %d derivatives\n", check.worst,
              check.where.c_str(), check.checked);
  if (!check.ok()) return 1;

  return launch<Threads>(
      argc, argv,
      [](auto& world) {  // two classes: inside or outside of a ring
        constexpr int batch = 128;
        auto run = Run::on(world, {.seed = 7, .batch = batch, .learning_rate = 3e-3});
        std::vector<float> x(2 * batch);
        std::vector<int> y(batch);
        for (int step = 0; step < 300; ++step) {
          for (int i = 0; i < batch; ++i) {
            const auto row =
                static_cast<std::uint64_t>((step * world.size() + world.rank()) * batch + i);
            x[2 * i] = normal(2, 0, row);
            x[2 * i + 1] = normal(2, 1, row);
            const float radius = x[2 * i] * x[2 * i] + x[2 * i + 1] * x[2 * i + 1];
            y[i] = radius > 0.5f && radius < 2.0f;
          }
          const Rows rows{batch};
          const StepReport r = run.step({x.data(), rows}, {y.data(), rows});
          if (world.rank() == 0 && (step + 1) % 100 == 0)
            std::printf("step %d  loss %.4f\n", step + 1, r.loss);
        }
      },
      {.ranks = 2});
}
