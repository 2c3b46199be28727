// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/checkpoints.hpp: trainings that go through a checkpoint, under any strategy on any number of ranks.
#pragma once
#include <cohort/checkpoint.hpp>
#include <cohort/cohort.hpp>
#include <filesystem>
#include <map>

#include "../policies/sharding.hpp"
#include "../support/temporary_directory.hpp"

namespace cohort::test {

namespace fs = std::filesystem;

/// What a checkpoint holds, whoever wrote which part: every tensor's type, extents and bytes, and what a run
/// needs beside them.
struct SavedState {
  std::map<std::string, std::pair<std::string, std::vector<std::byte>>> tensors;
  std::map<std::string, std::string> facts;
  friend bool operator==(const SavedState&, const SavedState&) = default;
};
inline SavedState saved_state(const fs::path& path) {
  io::CheckpointIndex index(io::CheckpointDirectory::resolve(path));
  SavedState state;
  for (const auto& [name, tensor] : index.tensors()) {
    auto& [what, bytes] = state.tensors[name];
    what = std::string(io::name(tensor.type)) + io::readable_shape(tensor.extents);
    std::uint64_t numel = 1;
    for (const std::uint64_t extent : tensor.extents) numel *= extent;
    index.read(tensor, 0, numel, [&, &bytes = bytes](std::uint64_t, std::span<const std::byte> b) {
      bytes.insert(bytes.end(), b.begin(), b.end());
    });
  }
  for (const char* key : {"step", "seed", "loss_scale", "loss_scale_good_steps", "data_epoch",
                          "data_samples", "note.best"})
    if (const auto at = index.manifest().facts.find(key); at != index.manifest().facts.end())
      state.facts[key] = at->second;
  return state;
}

/// One run: loads where `from` is named, trains, saves where `to` is. Global batches of 24 samples go by
/// the number of the step, so every world sees the same rows.
struct Journey {
  int ranks = 1;
  fs::path from{}, to{};
  int steps = 0;
  std::uint64_t seed = 7;
  bool async = false;
};
struct Arrival {
  std::vector<StepReport> reports;  // of rank 0
  std::vector<NamedTensor> parameters;
  Loaded loaded;
};
template <class Run, class Case, class Device = void> Arrival travel(const Journey& journey) {
  Arrival arrival;
  launch<Threads>({.ranks = journey.ranks}, [&](Threads& world) {
    const int each = 24 / journey.ranks;
    auto options = options_of<Run, Case>({.ranks = journey.ranks, .each = each});
    options.seed = journey.seed;
    auto run = Run::template on<Device>(world, options);
    Loaded loaded;
    if (!journey.from.empty()) loaded = run.load(journey.from);
    std::vector<StepReport> reports;
    for (int i = 0; i < journey.steps; ++i) {
      const zoo::Batch<Case> batch(24, 1 + static_cast<std::uint64_t>(run.steps_done()));
      const int first = world.rank() * each;
      reports.push_back(run.step(batch.x().samples(first, each), batch.y().samples(first, each)));
    }
    const SaveOptions save{.data = {2, 5 * run.steps_done()}, .notes = {{"best", "1.25"}}};
    if (!journey.to.empty() && journey.async) run.save_async(journey.to, save);
    if (!journey.to.empty() && !journey.async) run.save(journey.to, save);
    run.wait_for_save();
    auto parameters = run.gather_parameters();
    if (world.rank() == 0) arrival = {reports, parameters, loaded};
  });
  return arrival;
}

/// A strategy with its precision, chosen at run time.
struct Way {
  std::string name;
  int shard_ranks;
  Arrival (*travel)(const Journey&);
  bool fits(int ranks) const { return shard_ranks == 0 || ranks % shard_ranks == 0; }
};
template <class Case, class How, class... More> Way way(const char* name) {
  return {name, How::shard_ranks,
          travel<ShardedRun<Case, How, 1, KeepUnsharded, optim::AdamW, More...>, Case>};
}
template <class Case, class... More> std::vector<Way> all_ways() {
  return {way<Case, Replicate, More...>("Replicate"),
          way<Case, ShardOptimizer, More...>("ShardOptimizer"),
          way<Case, ShardGradients, More...>("ShardGradients"),
          way<Case, FullShard, More...>("FullShard"),
          way<Case, HybridShard<2>, More...>("HybridShard<2>")};
}

inline bool same_bits(const std::vector<StepReport>& a, const std::vector<StepReport>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!same_bits(a[i], b[i])) return false;
  return true;
}

}  // namespace cohort::test
