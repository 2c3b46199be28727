// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/golden/parity.hpp: twenty clipped AdamW steps of a GPT beside PyTorch's and fp64's, on any device
// (gpt_golden.py wrote the other side).
#pragma once
#include <cohort/cohort.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>

#include "gpt.hpp"

namespace golden {

using namespace cohort;

/// The same with requires_grad_(False) on the token table and on the attention of every block.
struct PartlyFrozen : Untied {
  template <class B> struct HalfFrozen;
  template <class Attend, class Dense> struct HalfFrozen<nn::Sequential<Attend, Dense>> {
    using type = nn::Sequential<nn::Frozen<Attend>, Dense>;
  };
  using Model = nn::Sequential<
      nn::Frozen<nn::Embedding<vocabulary, channels>>, nn::AddPosition<block, channels>,
      nn::Repeat<layers, typename HalfFrozen<Block<nn::WithBias, ops::GeluTanh>>::type>,
      nn::LayerNorm<channels>, nn::Linear<channels, vocabulary, nn::NoBias>>;
  static constexpr const char* file = "frozen";
};

template <class Variant> Golden load(const std::string& part) {
  const char* file = part == "start" ? Variant::start_file : Variant::file;
  return load(std::string("gpt_") + file + "_" + part);
}

/// One rank's view of the twenty steps; all ranks' views are compared first.
struct Trained {
  std::vector<StepReport> reports;
  std::vector<NamedTensor> first_gradients, parameters;
};

template <class Variant, int N>
using RunOf = Trainer<typename Variant::Model, nn::CrossEntropy, DataParallel<Replicate>,
                      GradAccum<N>, ClipGradNorm, optim::AdamW>;

template <class Variant, int N, class Device, class World>
Trained train_rank(World& world, const Golden& start) {
  Trained out;
  using Run = RunOf<Variant, N>;
  auto run = Run::template on<Device>(world, options_of<Run>(load<Variant>("grad"), world.size()));
  set_start<Variant>(run, start);
  const auto tokens = start.as<int>("tokens");
  const int steps = static_cast<int>(start.number("steps")), mine = rows / world.size();
  for (int step = 0; step < steps; ++step) {
    const GptRows batch(tokens, step, world.rank() * mine, mine);
    out.reports.push_back(run.step(batch.x(), batch.y()));
    if (step == 0) out.first_gradients = run.gather_gradients();
  }
  out.parameters = run.gather_parameters();
  return out;
}

template <class Variant, int N, class Device> Trained train(int ranks, const Golden& start) {
  std::vector<Trained> out(static_cast<std::size_t>(ranks));
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    out[static_cast<std::size_t>(world.rank())] = train_rank<Variant, N, Device>(world, start);
  });
  for (const Trained& other : out)
    for (std::size_t i = 0; i < other.parameters.size(); ++i)
      CHECK(other.parameters[i].values == out[0].parameters[i].values);
  return out[0];
}

/// Has this parameter a gradient?
inline bool is_trained(const Trained& ours, const std::string& name) {
  for (const NamedTensor& g : ours.first_gradients)
    if (g.name == name) return true;
  return false;
}

/// Distances from the fp64 run over the twenty steps and over all final parameters, as measured by
/// gpt_golden.py for PyTorch's fp32 run: at most twice as far, in the mean and at the worst.
template <class Variant>
void check_distances(const Trained& ours, const Golden& start, const Golden& result) {
  const auto& loss64 = result.values("loss64");
  const auto& norm64 = result.values("norm64");
  Distance loss, norm, parameters;
  for (std::size_t step = 0; step < loss64.size(); ++step) {
    loss.add(ours.reports[step].loss - loss64[step]);
    norm.add(ours.reports[step].grad_norm - norm64[step]);
  }
  for (const NamedTensor& p : ours.parameters) {
    const std::string name = torch_name<Variant>(p.name);
    if (!is_trained(ours, p.name)) {
      CHECK(p.values == start.as<float>("start." + name));
      continue;
    }
    const auto &final32 = result.values("final32." + name),
               &error32 = result.values("error32." + name);
    REQUIRE(p.values.size() == final32.size());
    for (std::size_t k = 0; k < p.values.size(); ++k)
      parameters.add(is_key_bias(p, k) ? 0 : double(p.values[k]) - (final32[k] - error32[k]));
  }
  // Six numbers a run; the first run is the one above, eight more permute the rows of every batch.
  const auto& theirs = result.values("distances");
  double largest_norm[2] = {};
  for (std::size_t i = 0; i < theirs.size(); i += 6)
    for (std::size_t k = 0; k < 2; ++k)
      largest_norm[k] = std::max(largest_norm[k], theirs[i + 2 + k]);
  CHECK(loss.rms() <= 2 * theirs[0]);
  CHECK(loss.largest <= 2 * theirs[1]);
  CHECK(norm.rms() <= 2 * largest_norm[0]);  // few roundings matter: how far it is off is luck
  CHECK(norm.largest <= 2 * largest_norm[1]);
  CHECK(parameters.rms() <= 2 * theirs[4]);
  CHECK(parameters.largest <= 2 * theirs[5]);
}

/// The mean gradient of step 0 against fp64, over all parameters: a relative rounding for each term
/// of the products that one row meets, and for each of the rows.
template <class Variant> void check_gradients(const Trained& ours) {
  const Golden grad = load<Variant>("grad");
  double squares = 0, error_squares = 0, additions = rows * block;
  for (const NamedTensor& g : ours.first_gradients) {
    const auto& exact = grad.values("grad." + torch_name<Variant>(g.name));
    additions += g.extents.back();
    for (std::size_t k = 0; k < exact.size(); ++k) {
      const double error = double(g.values[k]) / ours.reports[0].weight - exact[k];
      squares += exact[k] * exact[k];
      error_squares += error * error;
    }
  }
  const double eps = std::numeric_limits<float>::epsilon();
  CHECK(std::sqrt(error_squares) <= eps * std::sqrt(additions) * std::sqrt(squares));
  CHECK(ours.reports[0].weight == rows * block);
}

template <class Variant, int N, class Device = DefaultCpu>
void check_parity(std::initializer_list<int> worlds = {1, 2, 3}) {
  const Golden start = load<Variant>("start"), result = load<Variant>("result");
  for (int ranks : worlds) {
    INFO(Variant::file);
    CAPTURE(ranks);
    const Trained ours = train<Variant, N, Device>(ranks, start);
    check_gradients<Variant>(ours);
    check_distances<Variant>(ours, start, result);
    int clipped = 0;  // both branches of clipping are met
    for (const StepReport& r : ours.reports) clipped += r.clip_coefficient < 1;
    CHECK(clipped > 0);
    CHECK(clipped < static_cast<int>(ours.reports.size()));
  }
}

}  // namespace golden
