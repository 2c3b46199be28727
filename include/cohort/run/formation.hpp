// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/formation.hpp: what happens before step 0: checks, initial parameters, agreement of
// all ranks.
#pragma once
#include <algorithm>
#include <bit>
#include <cohort/core/error.hpp>
#include <cohort/plan/plan.hpp>
#include <cohort/run/options.hpp>
#include <string>
#include <thread>
#include <vector>

namespace cohort::detail {

/// Returns the options if this plan can run with them.
template <class Plan, class O> const O& checked(const O& options, int rank) {
  if (options.batch < 1 || options.tokens < 1) {
    throw InvalidInput(
        rank, "Run::on",
        "options.batch and options.tokens must say how many samples and rows a sample a step "
        "may have, e.g. {.batch = 12, .tokens = 64}: memory is taken before step 0.");
  }
  if (options.batch % Plan::micro_batches != 0) {
    throw InvalidInput(rank, "Run::on",
                       "options.batch = " + std::to_string(options.batch) +
                           " is no multiple of the " + std::to_string(Plan::micro_batches) +
                           " micro-batches of GradAccum.");
  }
  if (!(options.learning_rate >= 0)) {
    throw InvalidInput(rank, "Run::on", "options.learning_rate must be a number not below zero.");
  }
  return options;
}

template <class World> bool wants_worker(StreamMode mode, const World& world) {
  if (mode != StreamMode::automatic) return mode == StreamMode::worker;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return world.size() > 1 && 2 * world.size() <= cores;
}

inline void check_rows(int rank, Rows x, Rows y, int batch, int tokens) {
  if (x.samples < 0 || x.tokens < 1 || x.samples > batch || x.tokens > tokens) {
    throw InvalidInput(rank, "batch",
                       std::to_string(x.samples) + " x " + std::to_string(x.tokens) +
                           " rows exceed the options' " + std::to_string(batch) + " x " +
                           std::to_string(tokens) +
                           " (samples x tokens): raise .batch and .tokens, or give fewer rows.");
  }
  if (x != y) {
    throw InvalidInput(rank, "batch",
                       "inputs have " + std::to_string(x.count()) + " rows, targets " +
                           std::to_string(y.count()) + ": every row needs one target.");
  }
}

/// One flag a chunk of the shard: does weight decay apply?
template <class Plan, class Storage>
void mark_decaying(const Storage& storage, std::uint8_t* flags) {
  for (const ParamInfo& p : Plan::layout.params) {
    if (!p.trains) continue;
    for (std::size_t at = 0; at < p.padded; at += chunk) {
      const std::ptrdiff_t local = storage.local(p.offset + at, p.unit);
      if (local >= 0) flags[static_cast<std::size_t>(local) / chunk] = p.decays;
    }
  }
}

/// Draws the parameters that this rank holds.
template <class Plan, class Storage>
void initialise(const Storage& storage, std::uint64_t seed, int) {
  cohort::for_each_parameter<typename Plan::model>([&]<class P>(int index) {
    const ParamInfo& p = Plan::layout.params[static_cast<std::size_t>(index)];
    Draw draw{seed, random_stream(RandomUse::parameters, static_cast<std::uint64_t>(index)), 0,
              P::rank, P::cols};
    for (std::size_t k = 0; k < P::numel; ++k) {
      draw.index = k;
      auto* to = storage.param_at(p, k);
      if (to) *to = P::initialiser::value(draw);
    }
  });
}

template <class O> std::uint64_t hash_options(const O& o) {
  std::uint64_t h =
      mix(mix(14695981039346656037ull, o.seed), std::bit_cast<std::uint64_t>(o.learning_rate));
  const auto add = [&](const auto& part) {
    using P = std::remove_cvref_t<decltype(part)>;
    if constexpr (!std::is_empty_v<P>) {
      const auto raw = std::bit_cast<std::array<unsigned char, sizeof(P)>>(part);
      for (unsigned char c : raw) h = mix(h, c);
    }
  };
  add(o.optimizer);
  add(o.schedule);
  add(o.clip);
  return h;
}

/// All ranks must have the same plan and the same hyperparameters. Collective; throws on every
/// rank.
template <class Plan, class World, class O> void agree(World& world, const O& options) {
  constexpr std::uint64_t plan_hash = Plan::hash();
  const std::int64_t mine[2] = {std::bit_cast<std::int64_t>(plan_hash),
                                std::bit_cast<std::int64_t>(hash_options(options))};
  std::vector<std::int64_t> all(2 * static_cast<std::size_t>(world.size()));
  world.all_gather(mine, all.data(), std::size_t{2});
  for (int r = 1; r < world.size(); ++r) {
    const char* what = nullptr;
    if (all[2 * static_cast<std::size_t>(r)] != all[0]) {
      what =
          "have different plans: start the same binary, with the same model and policies, on every "
          "rank.";
    } else if (all[2 * static_cast<std::size_t>(r) + 1] != all[1]) {
      what =
          "have different options (seed, learning rate, optimizer, schedule or clipping): give all "
          "ranks the same.";
    }
    if (what)
      throw Mismatch(world.rank(), "Run::on", "ranks 0 and " + std::to_string(r) + " " + what);
  }
}

/// The options, once all ranks have them and this plan can run with them. Before any memory is
/// taken, so that what is exchanged here does not add to the peak. Collective.
template <class Plan, class World, class O> const O& agreed(World& world, const O& options) {
  checked<Plan>(options, world.rank());
  agree<Plan>(world, options);
  return options;
}

[[noreturn]] inline void throw_unit_order(int rank, int marker, int unit) {
  throw ContractBroken(
      rank, "step",
      "the model called its units out of their declared order (at marker " +
          std::to_string(marker) + ", unit " + std::to_string(unit) +
          "). Call each child once through cohort::forward, in the order of Children, and in "
          "reverse through cohort::backward.");
}
[[noreturn]] inline void throw_non_finite(int rank, const StepReport& r) {
  throw NonFinite(rank, "step " + std::to_string(r.step),
                  "loss " + std::to_string(r.loss) + ", gradient norm " +
                      std::to_string(r.grad_norm) +
                      ". Parameters are as they were before this step; lower the learning rate, "
                      "clip, or check the data.");
}

}  // namespace cohort::detail
