// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/saving.hpp: a run's state on its way into a checkpoint: pieces, facts, and one save at a time.
#pragma once
#include <cohort/io/checkpoint_save.hpp>
#include <cohort/policies/dynamic_loss_scale.hpp>
#include <cohort/run/agreement.hpp>
#include <cohort/run/formation.hpp>
#include <cohort/run/run_state.hpp>
#include <cohort/run/state_runs.hpp>
#include <cohort/version.hpp>
#include <map>
#include <memory>

namespace cohort::detail {

/// The pieces that this rank writes, and where their bytes are on the device.
struct StatePieces {
  std::vector<io::CheckpointPiece> pieces;
  std::vector<const std::byte*> at;
};
template <class Plan, class Storage> StatePieces state_pieces(const Storage& storage) {
  const StateList list = state_list<Plan>();
  StatePieces all;
  for_each_state<Plan>(storage, true, [&]<class T>(int kind, const HeldRun& run, T* at) {
    const auto p = static_cast<std::size_t>(run.param);
    all.pieces.push_back(
        {list.name(kind, p), io::stored_type_of<T>, list.shape(p), run.first, run.count});
    all.at.push_back(reinterpret_cast<const std::byte*>(at));
  });
  return all;
}

/// A number's text that reads back to the same bits.
inline std::string exact_text(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

/// What a manifest says of a run: what is needed to go on bit by bit, and what helps a reader.
template <class Plan, class O>
std::map<std::string, std::string> run_facts(const O& options, int ranks, std::int64_t step,
                                             LossScale scale, const SaveOptions& save) {
  std::map<std::string, std::string> facts{
      {"version", std::to_string(COHORT_VERSION_MAJOR) + "." +
                      std::to_string(COHORT_VERSION_MINOR) + "." +
                      std::to_string(COHORT_VERSION_PATCH)},
      {"layout",
       "each file holds flat pieces of tensors; __metadata__ says 'first of extents' under a "
       "piece's name; parameters/NAME are values (masters), optimizer/MOMENT/NAME moments"},
      {"step", std::to_string(step)},
      {"ranks", std::to_string(ranks)},
      {"order_ranks", std::to_string(Plan::order_ranks)},
      {"batch", std::to_string(options.batch)},
      {"tokens", std::to_string(options.tokens)},
      {"seed", std::to_string(options.seed)},
      {"learning_rate", exact_text(options.learning_rate)},
      {"loss_scale", exact_text(scale.scale)},
      {"loss_scale_good_steps", std::to_string(scale.good_steps)},
      {"data_epoch", std::to_string(save.data.epoch)},
      {"data_samples", std::to_string(save.data.samples)},
      {"compute", std::string(name(dtype_of<typename Plan::compute>))},
      {"master", std::string(name(dtype_of<typename Plan::master>))},
      {"parameters", std::to_string(Plan::layout.num_elements())},
      {"plan_hash", io::detail::sixteen_digits(Plan::hash())},
      {"options_hash", io::detail::sixteen_digits(hash_options(options))}};
  for (const auto& [key, value] : save.notes) facts["note." + key] = value;
  return facts;
}

/// The save of a run that may still be under way, and the memory that it reads from.
class PendingSave {
 public:
  /// `gate` is what steps ask before they change what a save copies.
  explicit PendingSave(SaveGate& gate) : gate_(gate) {}
  PendingSave(const PendingSave&) = delete;
  PendingSave& operator=(const PendingSave&) = delete;
  ~PendingSave() {
    if (save_ && gate_.abandoned) save_->give_up();
  }
  bool any() const { return save_ != nullptr; }

  /// Rank 0 makes the temporary directory, all ranks learn its name. Collective.
  template <class World>
  io::SaveOrder begin(World& world, const char* operation, const std::filesystem::path& directory,
                      std::int64_t step, int keep) {
    io::SaveOrder order{directory, {}, step, world.rank(), world.size(), keep, {}, {}};
    together(world, operation, [&] {
      if (world.rank() == 0) order.temporary = io::CheckpointDirectory(directory).begin(step);
    });
    order.temporary = text_of_rank_0(world, order.temporary.string());
    return order;
  }
  /// Writes and waits for all ranks. Collective.
  template <class World, class Source>
  void run(World& world, const char* operation, io::SaveOrder order, Source source) {
    save_ = std::make_unique<io::CheckpointSave>(std::move(order));
    save_->write(source);
    settle(world, operation);
  }
  /// Where the pieces go in an image of this rank's file, and memory for it, which later saves use again.
  /// Error: the host has none.
  io::CheckpointPartLayout reserve(const std::vector<io::CheckpointPiece>& pieces) {
    io::CheckpointPartLayout layout(pieces);
    if (memory_.size() < layout.image_bytes()) {
      memory_ = {};
      memory_ = io::PageMemory(layout.image_bytes());  // the copy is the first to touch it
    }
    return layout;
  }
  /// Begins to write what lies at pieces.at, from an image of the file: made by a thread, where that can read
  /// it; made here otherwise.
  template <class Device>
  void start(const Device& device, io::SaveOrder order, StatePieces pieces,
             io::CheckpointPartLayout layout) {
    const auto image = memory_.bytes().first(layout.image_bytes());
    order.pieces = std::move(pieces.pieces);
    if constexpr (!on_host<Device>) {
      for (std::size_t i = 0; i < order.pieces.size(); ++i)
        device.download(image.data() + layout.place(i), pieces.at[i], order.pieces[i].bytes());
    }
    save_ = std::make_unique<io::CheckpointSave>(std::move(order));
    if constexpr (on_host<Device>) {
      gate_.copying.store(true, std::memory_order_relaxed);
      save_->start(std::move(layout), image, std::move(pieces.at), &gate_.copying);
    } else {
      save_->start(std::move(layout), image);
    }
  }
  /// Waits for the save that start() began; throws on every rank what failed on any. Collective.
  template <class World> void wait(World& world, const char* operation) {
    if (!save_) return;
    for (bool going_on = true; going_on;) {
      save_->wait_over(std::chrono::milliseconds(20));
      using State = io::CheckpointSave::State;
      const auto mine = static_cast<std::int32_t>(save_->state());
      std::vector<std::int32_t> all(static_cast<std::size_t>(world.size()));
      world.all_gather(&mine, all.data(), std::size_t{1});
      const auto is = [&](State s) { return [s](std::int32_t v) { return v == std::int32_t(s); }; };
      if (std::any_of(all.begin(), all.end(), is(State::failed))) save_->give_up();
      const bool rank_0_works = is(State::writing)(all[0]) || is(State::written)(all[0]);
      going_on = rank_0_works || std::any_of(all.begin(), all.end(), is(State::writing));
    }
    settle(world, operation);
  }

 private:
  /// This rank's part is over: all ranks hear what failed; then rank 0 completes what is not complete.
  template <class World> void settle(World& world, const char* operation) {
    const std::unique_ptr<io::CheckpointSave> save = std::move(save_);
    raise_together(world, operation, save->own_error());
    if (world.rank() == 0) save->complete();
    raise_together(world, operation, save->error());
  }

  SaveGate& gate_;
  io::PageMemory memory_;
  std::unique_ptr<io::CheckpointSave> save_;  // last: its thread reads the memory
};

}  // namespace cohort::detail
