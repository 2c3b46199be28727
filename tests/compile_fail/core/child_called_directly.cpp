// expect-error: cohort: a child's forward or backward was called directly
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/child_called_directly.cpp: a unit's own forward, where the gather would be missed.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct Wrapped {
  using Children = cohort::Children<Child<"inner", nn::Linear<3, 3>>>;
  using Input = Features<3>;
  using Output = Features<3>;
  template <class T> static auto forward(auto& ctx, const auto& p, Tensor<const T, 3> x) {
#ifdef VALID
    const auto r = cohort::forward(ctx, p["inner"_p], x);
#else
    const auto r = nn::Linear<3, 3>::forward(ctx, p["inner"_p], x);
#endif
    return Out{r.y, keep(ctx, "inner"_p = r.saved)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto& p, const auto& s, Tensor<const T, 3> dy,
                       const auto& g) {
#ifdef VALID
    return cohort::backward(ctx, p["inner"_p], s["inner"_p], dy, g["inner"_p]);
#else
    return nn::Linear<3, 3>::backward(ctx, p["inner"_p], s["inner"_p], dy, g["inner"_p]);
#endif
  }
};
using Run = Trainer<nn::Sequential<nn::Linear<3, 3>, Wrapped>, nn::MeanSquaredError<3>,
                    DataParallel<FullShard>, Groups<Each<nn::Linear<3, 3>>>>;

template Run::execution<Threads>::Report Run::execution<Threads>::step(
    Run::execution<Threads>::Input, Run::execution<Threads>::Target);
