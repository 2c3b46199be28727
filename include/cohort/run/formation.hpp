// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/formation.hpp: what happens before step 0: checks, initial parameters, agreement of
// all ranks.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cohort/core/error.hpp>
#include <cohort/core/function_ref.hpp>
#include <cohort/core/members.hpp>
#include <cohort/core/said.hpp>
#include <cohort/device/cores.hpp>
#include <cohort/plan/plan.hpp>
#include <cohort/run/options.hpp>
#include <cstdio>
#include <iterator>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace cohort::detail {

/// How many of Reproducible's parts a rank has; 1 without it.
inline int checked_parts(int order_ranks, int rank, int ranks) {
  const int parts = order_ranks == 0 ? 1 : parts_of(order_ranks, ranks);
  if (parts == 0) throw_ranks_cannot_share_parts_of_Reproducible(order_ranks, ranks, rank);
  return parts;
}
inline void check_options(int rank, int ranks, int batch, int tokens, double learning_rate,
                          int micro_batches, int parts) {
  if (batch < 1 || tokens < 1) {
    throw InvalidInput(
        rank, "Run::on",
        "options.batch and options.tokens must say how many samples and rows a sample a step "
        "may have, e.g. {.batch = 12, .tokens = 64}: memory is taken before step 0.");
  }
  if (batch % (micro_batches * parts) != 0) {
    throw InvalidInput(
        rank, "Run::on",
        "options.batch = " + std::to_string(batch) + " is no multiple of the " +
            std::to_string(micro_batches * parts) + " micro-batches of " +
            (parts > 1 ? "Reproducible on " + std::to_string(ranks) + " ranks." : "GradAccum."));
  }
  if (!(learning_rate >= 0)) {
    throw InvalidInput(rank, "Run::on", "options.learning_rate must be a number not below zero.");
  }
}

/// Throws unless this plan can run with the options.
template <class Plan, class O> void check_options(const O& options, int rank, int ranks) {
  check_options(rank, ranks, options.batch, options.tokens, options.learning_rate,
                Plan::micro_batches, checked_parts(Plan::order_ranks, rank, ranks));
  using Schedule = typename Plan::slots::schedule;
  if constexpr (requires { Schedule::refusal(options.schedule); })
    if (const char* why = Schedule::refusal(options.schedule))
      throw InvalidInput(rank, "Run::on", why);
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

/// Calls f(begin, end) for parts of `chunks` that cover them, on up to `threads` threads.
inline void in_parts(std::size_t chunks, int threads,
                     FunctionRef<void(std::size_t, std::size_t)> f) {
  constexpr std::size_t least = (1 << 20) / chunk;  // below it a thread is not worth its start
  const std::size_t parts =
      std::max<std::size_t>(1, std::min<std::size_t>(chunks / least, threads));
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < parts; ++i)
    others.emplace_back([=] { f(i * chunks / parts, (i + 1) * chunks / parts); });
  f(0, chunks / parts);
}

/// Draws the parameters that this rank holds; each element from its own random numbers, so that how many
/// threads share the work changes nothing.
template <class Plan, class Storage>
void initialise(Storage& storage, std::uint64_t seed, int threads = 1) {
  if constexpr (on_host<typename Plan::device>) threads = 1;  // every core has a rank
  for (std::size_t i = 0; i < Plan::layout.params.size(); ++i) {
    const ParamInfo& p = Plan::layout.params[i];
    const std::uint64_t stream = random_stream(RandomUse::parameters, i);
    const auto write = [&](std::size_t begin, std::size_t end) {
      std::array<float, chunk> values;
      for (std::size_t at = begin * chunk; at < end * chunk; at += chunk) {
        if (!storage.holds(p, at)) continue;  // shards are whole chunks
        const std::size_t count = std::min(chunk, p.numel - at);
        p.draw({seed, stream, at, p.rank, p.fan_in}, values.data(), count);
        for (std::size_t k = 0; k < count; ++k) storage.write(p, at + k, values[k]);
      }
    };
    in_parts(p.padded / chunk, threads, write);
  }
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

/// What a rank sends: what is compared, then the rows that it has in a step.
inline constexpr std::size_t formation_words = Compared::count + 1;
/// Of what all ranks sent: throws where they differ, returns the most rows.
inline double most_rows(int rank, std::span<const std::int64_t> all) {
  std::int64_t rows = 1;
  for (std::size_t at = 0; at < all.size(); at += formation_words) {
    for (std::size_t i = 0; i < Compared::count; ++i) {
      if (all[at + i] == all[i]) continue;
      throw Mismatch(rank, "Run::on",
                     "ranks 0 and " + std::to_string(at / formation_words) + " " +
                         different(i, std::bit_cast<std::uint64_t>(all[i]),
                                   std::bit_cast<std::uint64_t>(all[at + i])));
    }
    rows = std::max(rows, all[at + Compared::count]);
  }
  return static_cast<double>(rows);
}

/// Checks the options; all ranks must have the same plan and the same hyperparameters. Comes before any
/// memory is taken, so that what is exchanged here does not add to the peak. Returns the most rows that
/// any rank has in a step. Collective; throws on every rank.
template <class Plan, class World, class O> double agreed_rows(World& world, const O& options) {
  check_options<Plan>(options, world.rank(), world.size());
  constexpr std::uint64_t plan_hash = Plan::hash();
  std::array<std::int64_t, formation_words> mine;
  const Compared own = compared(plan_hash, options);
  std::copy(own.values.begin(), own.values.end(), mine.begin());
  mine.back() = std::int64_t{options.batch} * options.tokens;
  std::vector<std::int64_t> all(mine.size() * static_cast<std::size_t>(world.size()));
  world.all_gather(mine.data(), all.data(), mine.size());
  return most_rows(world.rank(), all);
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
