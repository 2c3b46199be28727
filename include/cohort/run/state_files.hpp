// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/state_files.hpp: how a run saves and loads: every strategy and world reads what any other wrote.
#pragma once
#include <cohort/run/loading.hpp>
#include <cohort/run/run_state.hpp>
#include <cohort/run/saving.hpp>
#include <cohort/run/weights.hpp>

namespace cohort::detail {

/// The bodies of RunState's functions of the same names. All collective.
template <class Run> struct StateFiles {
  using Plan = typename Run::plan_type;

  static void save(Run& run, const std::string& directory, const SaveOptions& options) {
    PendingSave& pending = pending_of(run);
    pending.wait(run.world_, "save");
    StatePieces pieces = state_pieces<Plan>(run.storage());
    io::SaveOrder order = ordered(run, directory, options, "save");
    order.pieces = std::move(pieces.pieces);
    const auto& device = run.driver_.machine().compute();
    pending.run(run.world_, "save", std::move(order),
                [&, at = pieces.at](std::size_t i, std::uint64_t first, std::span<std::byte> to) {
                  fetch_bytes(device, at[i] + first, to);
                });
  }
  static void save_async(Run& run, const std::string& directory, const SaveOptions& options) {
    PendingSave& pending = pending_of(run);
    pending.wait(run.world_, "save");
    StatePieces pieces = state_pieces<Plan>(run.storage());
    std::optional<io::CheckpointPartLayout> layout;
    together(run.world_, "save_async", [&] { layout = pending.reserve(pieces.pieces); });
    io::SaveOrder order = ordered(run, directory, options, "save_async");
    pending.start(run.driver_.machine().compute(), std::move(order), std::move(pieces),
                  std::move(*layout));
  }
  static void wait(Run& run) { pending_of(run).wait(run.world_, "save"); }

  static Loaded load(Run& run, const std::string& path, const LoadOptions& options) {
    auto& world = run.world_;
    std::string chosen;
    together(world, "load", [&] {
      if (world.rank() == 0) chosen = io::CheckpointDirectory::resolve(path).string();
    });
    chosen = text_of_rank_0(world, chosen);
    std::unique_ptr<CheckpointLoad<Plan>> load;
    Loaded loaded;
    together(world, "load", [&] {
      load = std::make_unique<CheckpointLoad<Plan>>(chosen, options);
      load->check();
      loaded = Facts(load->index()).loaded();
      loaded.same_options = Facts(load->index()).text("options_hash") ==
                            io::detail::sixteen_digits(hash_options(run.options_));
    });
    run.replace_state([&] {
      together(world, "load", [&] { load->read(run.driver_.machine().compute(), run.storage()); });
    });
    if (!load->values_only()) resume(run, Facts(load->index()));
    return loaded;
  }
  static void save_full(Run& run, const std::string& file, const FullOptions& options) {
    run.driver_.machine().settle();
    detail::save_full<Plan>(run.world_, run.driver_.machine().compute(), run.storage(), file,
                            options);
  }
  static Loaded load_full(Run& run, const std::string& file, const FullOptions& options) {
    FullLoad<Plan> load;
    together(run.world_, "load_full", [&] { load.open(file, options); });
    run.replace_state([&] {
      together(run.world_, "load_full",
               [&] { load.read(run.driver_.machine().compute(), run.storage()); });
    });
    return load.loaded();
  }

 private:
  static PendingSave& pending_of(Run& run) {
    RunState<Run>& state = run;
    if (!state.pending_) state.pending_ = std::make_shared<PendingSave>(state.gate_);
    return *state.pending_;
  }
  static io::SaveOrder ordered(Run& run, const std::string& directory, const SaveOptions& options,
                               const char* operation) {
    const std::int64_t step = run.steps_done();
    run.driver_.machine().settle();
    io::SaveOrder order =
        pending_of(run).begin(run.world_, operation, directory, step, options.keep);
    order.facts = run_facts<Plan>(run.options_, run.size(), step, run.loss_scale(), options);
    return order;
  }
  static void resume(Run& run, const Facts& facts) {
    run.options_.seed = facts.template number<std::uint64_t>("seed");
    run.finish_.resume(facts.template number<std::int64_t>("step"),
                       {facts.template number<double>("loss_scale"),
                        facts.template number<std::int64_t>("loss_scale_good_steps")});
  }
};

}  // namespace cohort::detail
