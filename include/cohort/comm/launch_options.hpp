// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/launch_options.hpp: how many ranks a world has, how it waits; --ranks and --gpus.
#pragma once
#include <cohort/comm/collective.hpp>
#include <cohort/core/error.hpp>
#include <cohort/device/cores.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string_view>
#include <vector>

namespace cohort {

/// What launch() needs to know before a world can form.
///
/// Units    ranks: 0 means one per usable core (device/cores.hpp). streams_per_rank: how many threads of a rank
///          will wait at once (2 where a worker communicates); ranks spin only while ranks x
///          streams_per_rank <= usable cores. timeout: the longest wait for a late peer. gpus: for
///          worlds of GPUs in one process, the ordinal of each rank's GPU; empty: the world decides.
struct LaunchOptions {
  int ranks = 0;
  int streams_per_rank = 1;
  std::chrono::milliseconds timeout = std::chrono::seconds(600);
  std::vector<int> gpus = {};
};

namespace detail {

inline constexpr int max_ranks = 1024;

inline int parse_ranks(std::string_view text) {
  int ranks = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ranks);
  if (error == std::errc() && end == text.data() + text.size() && ranks >= 1 &&
      ranks <= max_ranks) {
    return ranks;
  }
  throw InvalidInput(-1, "launch",
                     phrase("--ranks wants a whole number from 1 to ", max_ranks, ", not '", text,
                            "'. Write e.g. --ranks 4."));
}

/// Ordinals, separated by commas: "0,1,2,3".
inline std::vector<int> parse_gpus(std::string_view text) {
  std::vector<int> gpus;
  const char* at = text.data();
  const char* const all = at + text.size();
  while (static_cast<int>(gpus.size()) < max_ranks) {
    int gpu = -1;
    const auto [end, error] = std::from_chars(at, all, gpu);
    if (error != std::errc() || gpu < 0) break;
    gpus.push_back(gpu);
    if (end == all) return gpus;
    if (*end != ',') break;
    at = end + 1;
  }
  throw InvalidInput(-1, "launch",
                     phrase("--gpus wants ordinals of GPUs separated by commas, not '", text,
                            "'. Write e.g. --gpus 0,1,2,3."));
}

/// Reads --ranks N and --gpus A,B,..., also with =, the last one given; leaves every other argument
/// to the program.
inline LaunchOptions parse_launch_options(int argc, const char* const* argv) {
  LaunchOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--") break;
    if (arg == "--ranks") options.ranks = parse_ranks(++i < argc ? argv[i] : "");
    if (arg.starts_with("--ranks=")) options.ranks = parse_ranks(arg.substr(8));
    if (arg == "--gpus") options.gpus = parse_gpus(++i < argc ? argv[i] : "");
    if (arg.starts_with("--gpus=")) options.gpus = parse_gpus(arg.substr(7));
  }
  return options;
}

/// The options with 0 ranks resolved; throws where a value cannot be honoured. For worlds of CPUs.
inline LaunchOptions checked(LaunchOptions options) {
  if (!options.gpus.empty()) {
    throw InvalidInput(
        -1, "launch",
        "--gpus (LaunchOptions::gpus) is for worlds of GPUs, and this one computes on "
        "the CPU. Use launch<Nccl>, or leave it out.");
  }
  if (options.ranks == 0) options.ranks = std::min(usable_cores(), max_ranks);
  if (options.ranks < 1 || options.ranks > max_ranks) {
    throw InvalidInput(
        -1, "launch",
        phrase("LaunchOptions::ranks must be 0 to ", max_ranks, ", not ", options.ranks, "."));
  }
  if (options.streams_per_rank < 1) {
    throw InvalidInput(-1, "launch", "LaunchOptions::streams_per_rank must be at least 1.");
  }
  if (options.timeout <= std::chrono::hours(0) || options.timeout > std::chrono::hours(24 * 365)) {
    throw InvalidInput(-1, "launch",
                       "LaunchOptions::timeout must be positive and at most a year: no wait of "
                       "cohort is endless.");
  }
  return options;
}

}  // namespace detail
}  // namespace cohort
