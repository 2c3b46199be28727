// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/formation.hpp: what happens before step 0: checks, initial parameters, agreement of
// all ranks.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cohort/core/error.hpp>
#include <cohort/core/members.hpp>
#include <cohort/core/said.hpp>
#include <cohort/device/cores.hpp>
#include <cohort/plan/plan.hpp>
#include <cohort/run/options.hpp>
#include <cstdio>
#include <iterator>
#include <string>
#include <type_traits>
#include <vector>

namespace cohort::detail {

/// Returns the options if this plan can run with them.
template <class Plan, class O> const O& checked(const O& options, int rank, int ranks) {
  if (options.batch < 1 || options.tokens < 1) {
    throw InvalidInput(
        rank, "Run::on",
        "options.batch and options.tokens must say how many samples and rows a sample a step "
        "may have, e.g. {.batch = 12, .tokens = 64}: memory is taken before step 0.");
  }
  int parts = 1;
  if constexpr (Plan::has_parts) {
    parts = parts_of(Plan::order_ranks, ranks);
    if (parts == 0) throw_ranks_cannot_share_parts_of_Reproducible(Plan::order_ranks, ranks, rank);
  }
  if (options.batch % (Plan::micro_batches * parts) != 0) {
    throw InvalidInput(
        rank, "Run::on",
        "options.batch = " + std::to_string(options.batch) + " is no multiple of the " +
            std::to_string(Plan::micro_batches * parts) + " micro-batches of " +
            (parts > 1 ? "Reproducible on " + std::to_string(ranks) + " ranks." : "GradAccum."));
  }
  if (!(options.learning_rate >= 0)) {
    throw InvalidInput(rank, "Run::on", "options.learning_rate must be a number not below zero.");
  }
  using Schedule = typename Plan::slots::schedule;
  if constexpr (requires { Schedule::refusal(options.schedule); })
    if (const char* why = Schedule::refusal(options.schedule))
      throw InvalidInput(rank, "Run::on", why);
  return options;
}

template <class World> bool wants_worker(StreamMode mode, const World& world) {
  if (mode != StreamMode::automatic) return mode == StreamMode::worker;
  const int cores = usable_cores();
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

inline void check_micro_batches(int rank, int samples, int micro_batches) {
  if (samples % micro_batches == 0 && samples != 0) return;
  throw InvalidInput(rank, "step",
                     std::to_string(samples) + " samples cannot be cut into " +
                         std::to_string(micro_batches) +
                         " equal micro-batches: give a positive multiple (pad with ignored "
                         "labels).");
}

/// The chunks of this rank's shard as the flat forward order numbers them, for random rounding.
template <class Plan, class Storage>
void number_chunks(const Storage& storage, std::uint32_t* numbers) {
  for (const ParamInfo& p : Plan::layout.params) {
    if (!p.trains) continue;
    for (std::size_t at = p.offset; at < p.offset + p.padded; at += chunk) {
      const std::ptrdiff_t local = storage.local(at, p.unit);
      if (local >= 0)
        numbers[static_cast<std::size_t>(local) / chunk] = static_cast<std::uint32_t>(at / chunk);
    }
  }
}

/// How many samples the rank with the most has: sharded parameters are gathered by all ranks alike.
/// Collective for strategies that shard parameters.
template <class Plan, class World> int samples_of_any(World& world, std::int32_t samples) {
  if constexpr (!Plan::data::shards_params) return samples;
  std::vector<std::int32_t> all(static_cast<std::size_t>(world.size()));
  world.all_gather(&samples, all.data(), std::size_t{1});
  return *std::max_element(all.begin(), all.end());
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

/// Calls f(begin, end) for parts of [0, n) that cover it, on up to `threads` threads.
template <class F> void in_parts(std::size_t n, int threads, F f) {
  constexpr std::size_t least = std::size_t{1} << 20;  // below it a thread is not worth its start
  const std::size_t parts = std::max<std::size_t>(1, std::min<std::size_t>(n / least, threads));
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < parts; ++i)
    others.emplace_back([=] { f(i * n / parts, (i + 1) * n / parts); });
  f(0, n / parts);
}

/// Draws the parameters that this rank holds; each element from its own random numbers, so that how many
/// threads share the work changes nothing.
template <class Plan, class Storage>
void initialise(Storage& storage, std::uint64_t seed, [[maybe_unused]] int threads = 1) {
  cohort::for_each_parameter<typename Plan::model>([&]<class P>(int index) {
    const ParamInfo& p = Plan::layout.params[static_cast<std::size_t>(index)];
    const Draw drawn{seed, random_stream(RandomUse::parameters, static_cast<std::uint64_t>(index)),
                     0, P::rank, P::cols};
    const auto write = [&storage, &p, drawn](std::size_t begin, std::size_t end) {
      Draw draw = drawn;
      for (std::size_t k = begin; k < end; ++k) {
        if (!storage.holds(p, k)) continue;
        draw.index = k;
        storage.write(p, k, P::initialiser::value(draw));
      }
    };
    if constexpr (on_host<typename Plan::device>)
      write(0, P::numel);  // every core has a rank
    else
      in_parts(P::numel, threads, write);
  });
}

template <class V> struct NotComparable {
  static void say() {
    static_assert(never<V>,
                  "cohort: ranks compare options by value, and a member of these cannot be "
                  "compared. Members are numbers, bool, enumerations, std::array, and structs of "
                  "at most 12 of these without constructors; a pointer means nothing on another "
                  "rank. "
                  "[cohort/run/formation.hpp]");
  }
};

/// The values of a policy's options: what lies between them in memory is not looked at.
template <class V> constexpr std::uint64_t mix_values(std::uint64_t h, const V& value) {
  if constexpr (std::is_empty_v<V>) {
    return h;
  } else if constexpr (std::is_floating_point_v<V>) {
    return mix(h, std::bit_cast<std::uint64_t>(static_cast<double>(value)));
  } else if constexpr (std::is_arithmetic_v<V> || std::is_enum_v<V>) {
    return mix(h, static_cast<std::uint64_t>(value));
  } else if constexpr (requires { value.begin() != value.end(); }) {
    for (const auto& element : value) h = mix_values(h, element);
    return h;
  } else if constexpr (HasMembers<V>) {
    for_each_member(value, [&h](const auto& member) { h = mix_values(h, member); });
    return h;
  } else {
    static_assert(said<NotComparable<V>>());
    return h;
  }
}

/// What ranks compare before step 0, one number each, and how a message calls it.
struct Compared {
  static constexpr const char* names[] = {"plans",
                                          "options.seed",
                                          "options.learning_rate",
                                          "options.optimizer",
                                          "options.schedule",
                                          "options.clip"};
  static constexpr std::size_t count = std::size(names);
  std::array<std::uint64_t, count> values{};
};
template <class O> constexpr Compared compared(std::uint64_t plan_hash, const O& o) {
  constexpr std::uint64_t start = 14695981039346656037ull;
  return {{plan_hash, o.seed, std::bit_cast<std::uint64_t>(static_cast<double>(o.learning_rate)),
           mix_values(start, o.optimizer), mix_values(start, o.schedule),
           mix_values(start, o.clip)}};
}

template <class O> constexpr std::uint64_t hash_options(const O& o) {
  std::uint64_t h = mix_values(mix(14695981039346656037ull, o.seed), o.learning_rate);
  h = mix_values(h, o.optimizer);
  h = mix_values(h, o.schedule);
  return mix_values(h, o.clip);
}

/// Which of the compared numbers two ranks have in different values, and what to do.
inline std::string different(std::size_t which, std::uint64_t a, std::uint64_t b) {
  const std::string what = std::string("have different ") + Compared::names[which];
  if (which == 0)
    return what + ": start the same binary, with the same model and policies, on every rank.";
  std::string values;
  if (which == 1) values = " (" + std::to_string(a) + " and " + std::to_string(b) + ")";
  if (which == 2) {
    char text[64];
    std::snprintf(text, sizeof text, " (%.17g and %.17g)", std::bit_cast<double>(a),
                  std::bit_cast<double>(b));
    values = text;
  }
  return what + values + ": give all ranks the same.";
}

/// Checks the options; all ranks must have the same plan and the same hyperparameters. Comes before any
/// memory is taken, so that what is exchanged here does not add to the peak. Returns the most rows that
/// any rank has in a step. Collective; throws on every rank.
template <class Plan, class World, class O> double agreed_rows(World& world, const O& options) {
  checked<Plan>(options, world.rank(), world.size());
  constexpr std::uint64_t plan_hash = Plan::hash();
  constexpr std::size_t words = Compared::count + 1;
  std::int64_t mine[words];
  const Compared own = compared(plan_hash, options);
  for (std::size_t i = 0; i < Compared::count; ++i)
    mine[i] = std::bit_cast<std::int64_t>(own.values[i]);
  mine[Compared::count] = std::int64_t{options.batch} * options.tokens;
  std::vector<std::int64_t> all(words * static_cast<std::size_t>(world.size()));
  world.all_gather(mine, all.data(), words);
  std::int64_t rows = 1;
  for (std::size_t at = 0; at < all.size(); at += words) {
    for (std::size_t i = 0; i < Compared::count; ++i) {
      if (all[at + i] == all[i]) continue;
      throw Mismatch(world.rank(), "Run::on",
                     "ranks 0 and " + std::to_string(at / words) + " " +
                         different(i, std::bit_cast<std::uint64_t>(all[i]),
                                   std::bit_cast<std::uint64_t>(all[at + i])));
    }
    rows = std::max(rows, all[at + Compared::count]);
  }
  return static_cast<double>(rows);
}

[[noreturn]] inline void throw_kept_output(int rank) {
  throw ContractBroken(
      rank, "step",
      "a layer keeps the model's output in another shape, or gives on what another one keeps, and "
      "the "
      "loss would write its gradient there. Return a fresh result of ctx.make, or use a loss whose "
      "gradient lies elsewhere: struct Own : nn::CrossEntropy {}; is one.");
}

[[noreturn]] inline void throw_unit_order(int rank, int marker, int unit) {
  throw ContractBroken(
      rank, "step",
      "the model called its units out of their declared order (at marker " +
          std::to_string(marker) + ", unit " + std::to_string(unit) +
          "). Call each child once through cohort::forward, in the order of Children, and in "
          "reverse through cohort::backward. A layer that calls a child several times is a unit as "
          "a "
          "whole: where the child holds a Repeat, say Groups<Each<TheLayer>> in Trainer's list.");
}

}  // namespace cohort::detail
