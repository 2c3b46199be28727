// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/run_state.hpp: a run's state for those outside it: by name, and in files.
#pragma once
#include <cohort/run/loading.hpp>
#include <cohort/run/saving.hpp>
#include <cohort/run/state.hpp>
#include <cohort/run/weights.hpp>

namespace cohort {

/// What Execution offers of its state. A checkpoint is a directory DIR/step-N with one file a rank, each with
/// the pieces that its rank answers for; DIR/latest names the newest complete one.
///
/// Laws     save -> load is the identity for every pair of strategies and worlds; a resumed run is the
///          uninterrupted one, bit for bit at equal worlds (tests/run/run_state_test.cpp,
///          run_state_full_test.cpp). A crash at any instant loses at most the save in flight.
/// Cost     each rank writes and reads its share of masters and moments; no copy of the model anywhere.
///          save_async: host memory for one more copy of the share, kept until the run ends.
/// Errors   on every rank alike: WriteFailed (full disk, no right, ...), ReadFailed, MalformedFile (damage),
///          InvalidInput (another model, optimizer or type). After a failed save the run can go on; a load
///          that fails after it began to read elements ends the run.
template <class Run> class RunState {
 public:
  /// Every parameter by name, whole and without padding. Collective.
  std::vector<NamedTensor> gather_parameters(Receivers to = Receivers::all_ranks) {
    return gather(false, to, 1);
  }
  /// The last step's gradients by name: sums over the global batch, before division and clipping.
  /// Frozen parameters have none. Collective.
  std::vector<NamedTensor> gather_gradients(Receivers to = Receivers::all_ranks) {
    return gather(true, to, self().finish_.unscale());
  }
  /// Overwrites one parameter; all ranks must write the same values. Collective.
  void set_parameter(const std::string& name, std::span<const float> values) {
    pending_.before_change();
    self().driver_.machine().settle();
    detail::write_by_name<typename Run::plan_type>(self().rank(), self().storage(), name, values);
  }

  /// Writes a checkpoint of the training state into a directory, which is made if its parent is there, and
  /// returns when it is durable. Collective.
  void save(const std::filesystem::path& directory, const SaveOptions& options = {}) {
    pending_.wait(self().world_, "save");
    auto [order, pieces] = ordered(directory, options, "save");
    order.pieces = std::move(pieces.pieces);
    const auto& device = self().driver_.machine().compute();
    pending_.run(self().world_, "save", std::move(order),
                 [&, at = pieces.at](std::size_t i, std::uint64_t first, std::span<std::byte> to) {
                   detail::fetch_bytes(device, at[i] + first, to);
                 });
  }
  /// The same from a thread while training goes on: the state of this moment is saved. Waits for the save
  /// before it, if any, and throws what that one failed of. Collective.
  void save_async(const std::filesystem::path& directory, const SaveOptions& options = {}) {
    pending_.wait(self().world_, "save");
    auto [order, pieces] = ordered(directory, options, "save_async");
    pending_.start(self().driver_.machine().compute(), std::move(order), std::move(pieces));
  }
  /// Returns when the save that was begun is durable; throws what it failed of. Without this call a run
  /// that ends still completes its save, but says nothing of failures. Collective.
  void wait_for_save() { pending_.wait(self().world_, "save"); }

  /// Continues from a checkpoint: `path` is one, or a directory of them, whose latest is taken. Collective.
  Loaded load(const std::filesystem::path& path, const LoadOptions& options = {}) {
    auto& world = self().world_;
    pending_.before_change();
    std::string chosen;
    detail::together(world, "load", [&] {
      if (world.rank() == 0) chosen = io::CheckpointDirectory::resolve(path).string();
    });
    chosen = detail::text_of_rank_0(world, chosen);
    std::unique_ptr<detail::CheckpointLoad<typename Run::plan_type>> load;
    Loaded loaded;
    detail::together(world, "load", [&] {
      load = std::make_unique<detail::CheckpointLoad<typename Run::plan_type>>(chosen, options);
      load->check();
      loaded = detail::Facts(load->index()).loaded();
      loaded.unused = load->unused();
      loaded.same_options = detail::Facts(load->index()).text("options_hash") ==
                            detail::hash_text(detail::hash_options(self().options_));
    });
    self().replace_state([&] {
      detail::together(world, "load",
                       [&] { load->read(self().driver_.machine().compute(), self().storage()); });
    });
    if (!load->values_only()) resume(detail::Facts(load->index()));
    return loaded;
  }

  /// Writes all values as one safetensors file, or as numbered files with an index, for other tools.
  /// Every rank writes its own elements into it. Collective.
  void save_full(const std::filesystem::path& file, const FullOptions& options = {}) {
    self().driver_.machine().settle();
    detail::save_full<typename Run::plan_type>(self().world_, self().driver_.machine().compute(),
                                               self().storage(), file, options);
  }
  /// Reads values from such files, also another library's, rounding where their type is wider; moments and
  /// step stay. Collective.
  Loaded load_full(const std::filesystem::path& file, const FullOptions& options = {}) {
    pending_.before_change();
    detail::FullLoad<typename Run::plan_type> load;
    detail::together(self().world_, "load_full", [&] { load.open(file, options); });
    self().replace_state([&] {
      detail::together(self().world_, "load_full",
                       [&] { load.read(self().driver_.machine().compute(), self().storage()); });
    });
    return load.loaded();
  }

 protected:
  detail::PendingSave pending_;

 private:
  Run& self() { return static_cast<Run&>(*this); }

  std::vector<NamedTensor> gather(bool gradients, Receivers to, double factor) {
    self().driver_.machine().settle();
    return detail::gather_by_name<typename Run::plan_type>(
        self().storage(), self().driver_.machine().comm(), gradients, to, factor);
  }
  std::pair<io::SaveOrder, detail::StatePieces> ordered(const std::filesystem::path& directory,
                                                        const SaveOptions& options,
                                                        const char* operation) {
    using Plan = typename Run::plan_type;
    Run& run = self();
    const std::int64_t step = run.steps_done();
    run.driver_.machine().settle();
    io::SaveOrder order = pending_.begin(run.world_, operation, directory, step, options.keep);
    order.facts =
        detail::run_facts<Plan>(run.options_, run.size(), step, run.loss_scale(), options);
    return {std::move(order), detail::state_pieces<Plan>(run.storage())};
  }
  void resume(const detail::Facts& facts) {
    Run& run = self();
    run.options_.seed = facts.number<std::uint64_t>("seed");
    run.finish_.resume(
        facts.number<std::int64_t>("step"),
        {facts.number<double>("loss_scale"), facts.number<std::int64_t>("loss_scale_good_steps")});
  }
};

}  // namespace cohort
