// expect-error: cohort: ctx.random() is for the forward that trains
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/random_in_backward.cpp: backward asks for numbers of its own instead of forward's.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct Noisy {
  using Input = Features<4>;
  using Output = Features<4>;
  static auto forward(auto& ctx, const auto&, auto x) {
    const auto y = ctx.like(x);
    y.assign(x.map());
    if constexpr (std::remove_cvref_t<decltype(ctx)>::phase == Phase::train) {
      const Random random = ctx.random();
      for (int i = 0; i < x.rows.count() * 4; ++i) y.data[i] *= random.uniform01(0, i);
      return Out{y, keep(ctx, "random"_p = random)};
    } else {
      return Out{y, keep(ctx, "random"_p = Random{})};
    }
  }
  static auto backward(auto& ctx, const auto&, [[maybe_unused]] const auto& saved, auto dy,
                       const auto&) {
#ifdef VALID
    const Random random = saved["random"_p];
#else
    const Random random = ctx.random();
#endif
    const auto dx = ctx.like(dy);
    for (int i = 0; i < dy.rows.count() * 4; ++i) dx.data[i] = dy.data[i] * random.uniform01(0, i);
    return dx;
  }
};

using Run = Trainer<nn::Sequential<nn::Linear<4, 4>, Noisy>, nn::MeanSquaredError<4>>;
constexpr auto plan = Run::plan;
