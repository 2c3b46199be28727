// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/poison.hpp: a layer that makes a NaN, or another number, where a test says so.
#pragma once
#include <cohort/cohort.hpp>
#include <limits>

#include "../support/models.hpp"

namespace cohort::test {

/// Which number is spoiled, and what by.
struct PoisonAt {
  enum Where { nowhere, output, gradient, passed_back };
  Where where = nowhere;
  int unit = 0;         // which of the layers, in the order of forward
  int micro_batch = 0;  // and later ones
  std::size_t element = 0;
  float value = std::numeric_limits<float>::quiet_NaN();
  int count = 1;
};

/// y = x * weight, element by element. On the thread that says so one number of what it makes is another.
struct Poison : zoo::Scale<8> {
  using At = PoisonAt;
  static inline thread_local At at{};
  static inline thread_local int layer = 0, micro_batch = 0;
  static constexpr int layers = 3;

  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto r = zoo::Scale<8>::forward(ctx, p, x);
    const int me = layer++ % layers;
    spoil(At::output, me, r.y.data);
    return r;
  }
  static auto backward(auto& ctx, const auto& p, const auto& saved, auto dy, const auto& g) {
    const auto dx = zoo::Scale<8>::backward(ctx, p, saved, dy, g);
    const int me = --layer;
    spoil(At::gradient, me, g["weight"_p].data());
    spoil(At::passed_back, me, dx.data);
    if (layer == 0) ++micro_batch;
    return dx;
  }

 private:
  template <class T> static void spoil(At::Where where, int me, T* data) {
    if (at.where != where || at.unit != me || micro_batch < at.micro_batch) return;
    for (int i = 0; i < at.count; ++i) data[at.element + static_cast<std::size_t>(i)] = T(at.value);
  }
};

using PoisonedModel =
    nn::Sequential<nn::Linear<4, 8>, nn::Repeat<Poison::layers, Poison>, nn::Linear<8, 2>>;
template <class How, class... More>
using PoisonedRun = Trainer<PoisonedModel, nn::MeanSquaredError<2>, DataParallel<How>, More...>;

template <class Run> typename Run::options poisoned_options(StreamMode stream = {}) {
  typename Run::options options{};
  options.seed = 3;
  options.batch = 4;
  options.stream = stream;
  return options;
}
/// One step of 4 samples; a rank may change a number of its input.
template <class Run> StepReport poisoned_step(Run& run, int bad_input = -1) {
  Poison::layer = Poison::micro_batch = 0;
  std::vector<float> x(16), y(8, 0.5f);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(normal(static_cast<std::uint64_t>(run.rank()), 5, i));
  if (bad_input >= 0)
    x[static_cast<std::size_t>(bad_input)] = std::numeric_limits<float>::infinity();
  return run.step(Tensor<const float, 4>{x.data(), {4}}, Tensor<const float, 2>{y.data(), {4}});
}

}  // namespace cohort::test
