// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/mixed_parity.hpp: a GPT trained in 16-bit types beside PyTorch's, and how far apart they may be.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>

#include "../golden/gpt.hpp"
#include "../support/overflowing.hpp"

namespace cohort::test::mixed_parity {

using golden::Golden, golden::GptRows, golden::Tied, golden::Untied;

// Two correct programs of the same formats are not equal: their sums of products are rounded
// differently in fp32, now and then that turns a rounding to 16 bits, and the next layers see another
// number. The script measured how far apart that brings two runs, by computing with fp64 inside the
// operations and by adding some fp32 roundings there. We may be half as far again.
constexpr double slack = 1.5;

template <class Variant, class... Ps>
using RunOf = Trainer<typename Variant::Model, nn::CrossEntropy, DataParallel<Replicate>,
                      ClipGradNorm, optim::AdamW, Ps...>;

/// What rank 0 saw of a training, and how the run ended.
struct Trained {
  std::vector<StepReport> reports;
  std::vector<NamedTensor> first_gradients, parameters;
};

/// `steps` steps of `ranks` ranks from the start that the scripts took.
template <class Device, class Variant, class... Ps>
Trained train_on(const Golden& notes, int ranks, int steps) {
  const Golden start = golden::load(std::string("gpt_") + Variant::start_file + "_start");
  const auto tokens = start.as<int>("tokens");
  Trained out;
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    using Run = RunOf<Variant, Ps...>;
    auto run = Run::template on<Device>(world, golden::options_of<Run>(notes, ranks));
    golden::set_start<Variant>(run, start);
    const int mine = golden::rows / ranks;
    Trained seen;
    for (int step = 0; step < steps; ++step) {
      const GptRows batch(tokens, step, world.rank() * mine, mine);
      seen.reports.push_back(run.step(batch.x(), batch.y()));
      if (step == 0) seen.first_gradients = run.gather_gradients();
    }
    seen.parameters = run.gather_parameters();
    if (world.rank() == 0) out = std::move(seen);
  });
  return out;
}
template <class Variant, class... Ps> Trained train(const Golden& notes, int ranks, int steps) {
  return train_on<DefaultCpu, Variant, Ps...>(notes, ranks, steps);
}

/// Calls f(name, k, ours, theirs) for every element with a true gradient, theirs from `group`.name.
template <class Variant, class F>
void for_elements(const std::vector<NamedTensor>& ours, const Golden& file,
                  const std::string& group, F f) {
  for (const NamedTensor& p : ours) {
    const std::string name = golden::torch_name<Variant>(p.name);
    const auto& theirs = file.values(group + "." + name);
    REQUIRE(p.values.size() == theirs.size());
    for (std::size_t k = 0; k < theirs.size(); ++k)
      if (!golden::is_key_bias(p, k)) f(name, k, double(p.values[k]), theirs[k]);
  }
}

template <class Variant> double parameters_apart(const Trained& ours, const Golden& file) {
  golden::Distance apart;
  for_elements<Variant>(ours.parameters, file, "final",
                        [&](auto&, auto, double a, double b) { apart.add(a - b); });
  return apart.rms();
}

/// |ours - theirs| / |theirs| of each tensor of the first gradient: the largest, and the mean.
struct Relative {
  double worst = 0, mean = 0;
};
template <class Variant> Relative gradients_apart(const Trained& ours, const Golden& file) {
  Relative out;
  for (const NamedTensor& g : ours.first_gradients) {
    double error = 0, size = 0;
    for_elements<Variant>({g}, file, "grad", [&](auto&, auto, double a, double b) {
      error += (a - b) * (a - b);
      size += b * b;
    });
    const double relative = std::sqrt(error / size);
    out.worst = std::max(out.worst, relative);
    out.mean += relative / double(ours.first_gradients.size());
  }
  return out;
}

/// The largest of one column of a table of `width` columns.
inline double largest(const std::vector<double>& table, std::size_t width, std::size_t column) {
  double out = 0;
  for (std::size_t i = column; i < table.size(); i += width) out = std::max(out, table[i]);
  return out;
}

/// No farther from fp64 than PyTorch's: its losses and norms over the steps and its final parameters,
/// in the mean and at the worst, for the farthest of four ways to compute in bf16.
template <class Variant> void check_distances(const Trained& ours, const Golden& file) {
  const Golden exact = golden::load(std::string("gpt_") + Variant::file + "_result");
  golden::Distance loss, norm, parameters;
  for (std::size_t step = 0; step < ours.reports.size(); ++step) {
    loss.add(ours.reports[step].loss - exact.values("loss64")[step]);
    norm.add(ours.reports[step].grad_norm - exact.values("norm64")[step]);
  }
  for_elements<Variant>(ours.parameters, exact, "final32",
                        [&](const std::string& name, std::size_t k, double a, double b) {
                          parameters.add(a - (b - exact.values("error32." + name)[k]));
                        });
  const auto& theirs = file.values("distances");
  const double distances[] = {loss.rms(),   loss.largest,     norm.rms(),
                              norm.largest, parameters.rms(), parameters.largest};
  for (std::size_t k = 0; k < std::size(distances); ++k) {
    CAPTURE(k);
    CHECK(distances[k] <= slack * largest(theirs, 6, k));
  }
}

/// The share of values whose last `bits` of 24 are zero: 2^-bits of them by chance.
template <class F> double share_without(int bits, const std::vector<NamedTensor>& all, F take) {
  double count = 0, zero = 0;
  for (const NamedTensor& t : all) {
    if (!take(t)) continue;
    for (float v : t.values) {
      zero += (std::bit_cast<std::uint32_t>(v) & ((1u << bits) - 1)) == 0;
      ++count;
    }
  }
  return zero / count;
}
inline bool any(const NamedTensor&) { return true; }
/// Weights of dense layers, whose gradients are sums of rows of products: all 24 bits are in use.
inline bool is_dense(const NamedTensor& t) {
  return t.extents.size() == 2 && t.name.find("inner") != std::string::npos;
}

template <class Variant, class... Ps> Trained check_parity(const std::string& name) {
  const Golden file = golden::load(name);
  const Trained ours = train<Variant, Ps...>(file, 2, static_cast<int>(file.number("steps")));
  const auto& noise = file.values("noise");
  const Relative gradients = gradients_apart<Variant>(ours, file);
  CAPTURE(name);
  CHECK(parameters_apart<Variant>(ours, file) <= slack * largest(noise, 3, 0));
  CHECK(gradients.worst <= slack * largest(noise, 3, 1));
  CHECK(gradients.mean <= slack * largest(noise, 3, 2));
  check_distances<Variant>(ours, file);
  CHECK(share_without(16, ours.parameters, any) < 0.01);  // masters, not bf16
  return ours;
}

/// The first gradient of one rank alone on the rows of rank r of n.
template <class... Ps>
std::vector<NamedTensor> gradient_of_part(const Golden& notes, int r, int n) {
  const Golden start = golden::load("gpt_tied_start");
  const int mine = golden::rows / n;
  const GptRows batch(start.as<int>("tokens"), 0, r * mine, mine);
  std::vector<NamedTensor> out;
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    using Run = RunOf<Tied, Ps...>;
    auto run = Run::on(world, golden::options_of<Run>(notes, n));
    golden::set_start<Tied>(run, start);
    run.step(batch.x(), batch.y());
    out = run.gather_gradients();
  });
  return out;
}

/// Ranks' gradients g, times factor, each rounded to R, added in fp32 in rank order, rounded once.
template <class R> float reduced(const std::vector<float>& g, float factor) {
  float sum = 0;
  for (float one : g) sum += float(R(one * factor));
  return float(R(sum)) / factor;
}

/// Bits of the reduced gradient, from those of each part alone with an fp32 reduction.
template <class R, class WithR, class WithFp32, class... Scale>
void check_reduction(int ranks, float factor) {
  const Golden notes = golden::load("mixed_bf16_tied");
  const auto ours = train<Tied, WithR, Scale...>(notes, ranks, 1).first_gradients;
  std::vector<std::vector<NamedTensor>> parts;
  for (int r = 0; r < ranks; ++r)
    parts.push_back(gradient_of_part<WithFp32, Scale...>(notes, r, ranks));
  for (std::size_t i = 0; i < ours.size(); ++i) {
    std::vector<float> expected, g;
    for (std::size_t k = 0; k < ours[i].values.size(); ++k) {
      g.clear();
      for (const auto& part : parts) g.push_back(part[i].values[k]);
      expected.push_back(reduced<R>(g, factor));
    }
    CAPTURE(ours[i].name);
    CHECK(ours[i].values == expected);
  }
}

}  // namespace cohort::test::mixed_parity
