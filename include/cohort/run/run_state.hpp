// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/run_state.hpp: a run's state for those outside it: by name, and in files.
#pragma once
#include <atomic>
#include <cohort/core/said.hpp>
#include <cohort/data/position.hpp>
#include <cohort/plan/step_span.hpp>
#include <cohort/run/state.hpp>
#include <map>
#include <memory>

namespace cohort {

/// Units    keep: how many of the newest checkpoints stay, 0: all. data: where the next batch begins.
///          notes: anything else that the program wants to find again; rank 0's are kept.
struct SaveOptions {
  int keep = 0;
  data::Position data{};
  std::map<std::string, std::string> notes{};
};

/// only: values of the parameters whose names match this pattern ('*', '?', '[a-z]' as in a shell), and
/// nothing else; "" takes everything that a training run is. weights_only: all values; moments, step and
/// the rest stay.
struct LoadOptions {
  std::string only{};
  bool weights_only = false;
};

/// What was loaded.
struct Loaded {
  std::string path;
  std::int64_t step = 0;
  data::Position data;                       // where the next batch begins
  std::map<std::string, std::string> notes;  // of SaveOptions
  int ranks = 0;                             // of the run that saved it
  int batch = 0;                             // of each of them
  int order_ranks = 0;                       // R of its Reproducible<R>, 0: it had none
  bool same_options =
      true;  // learning rate, optimizer, schedule and clipping are those of the save
  std::vector<std::string> unused;  // tensors of the file that this model has no place for
};

struct FullOptions;  // complete after #include <cohort/checkpoint.hpp>

namespace detail {
class PendingSave;
/// Reads and writes files for a run: run/state_files.hpp.
template <class Run> struct StateFiles;
template <class Run> struct NoStateFiles {
  static void say() {
    static_assert(never<Run>,
                  "cohort: saving and loading take a header of their own. Add #include "
                  "<cohort/checkpoint.hpp>. [cohort/run/run_state.hpp]");
  }
};

/// What a step asks of a save that may be under way: does it still copy what the step would change?
struct SaveGate {
  std::atomic<bool> copying{false};
  bool abandoned = false;  // the run failed: rank 0 need not wait for the others' files

  void before_change() const {
    if (copying.load(std::memory_order_acquire)) [[unlikely]]
      copying.wait(true, std::memory_order_acquire);
  }
};
}  // namespace detail

/// What Execution offers of its state. A checkpoint is a directory DIR/step-N with one file a rank, each with
/// the pieces that its rank answers for; DIR/latest names the newest complete one. For everything about
/// files include <cohort/checkpoint.hpp>.
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
    gate_.before_change();
    self().driver_.machine().settle();
    detail::write_by_name<typename Run::plan_type>(self().rank(), self().storage(), name, values);
  }
  /// f(world, device, storage) when nothing is under way: for functions that look at all that a rank holds
  /// (run/check_sync.hpp). The world's collectives take host memory, the storage is in the device's.
  template <class F> auto inspect(F f) {
    self().driver_.machine().settle();
    return f(self().world_, self().driver_.machine().compute(), self().storage());
  }

  /// Writes a checkpoint of the training state into a directory, which is made if its parent is there, and
  /// returns when it is durable. Collective.
  template <class R = Run>
  void save(const std::string& directory, const SaveOptions& options = {}) {
    files<R, Activity::save>([&](auto f) { f.save(self(), directory, options); });
  }
  /// The same from a thread while training goes on: the state of this moment is saved. Waits for the save
  /// before it, if any, and throws what that one failed of. Collective.
  template <class R = Run>
  void save_async(const std::string& directory, const SaveOptions& options = {}) {
    files<R, Activity::save>([&](auto f) { f.save_async(self(), directory, options); });
  }
  /// Returns when the save that was begun is durable; throws what it failed of. Without this call a run
  /// that ends still completes its save, but says nothing of failures. Collective.
  template <class R = Run> void wait_for_save() {
    files<R, Activity::save>([&](auto f) { f.wait(self()); });
  }
  /// Continues from a checkpoint: `path` is one, or a directory of them, whose latest is taken. Collective.
  template <class R = Run> Loaded load(const std::string& path, const LoadOptions& options = {}) {
    Loaded loaded;
    files<R, Activity::load>([&](auto f) { loaded = f.load(self(), path, options); });
    return loaded;
  }
  /// Writes all values as one safetensors file, or as numbered files with an index, for other tools.
  /// Every rank writes its own elements into it. Collective.
  template <class O = FullOptions> void save_full(const std::string& file, const O& options = {}) {
    files<Run, Activity::save>([&](auto f) { f.save_full(self(), file, options); });
  }
  /// Reads values from such files, also another library's, rounding where their type is wider; moments and
  /// step stay. Collective.
  template <class O = FullOptions>
  Loaded load_full(const std::string& file, const O& options = {}) {
    Loaded loaded;
    files<Run, Activity::load>([&](auto f) { loaded = f.load_full(self(), file, options); });
    return loaded;
  }

 protected:
  /// Ends a save that is under way: waits for this rank's part, and on rank 0 for the others', unless the
  /// run failed.
  void end_saves(bool failed) {
    gate_.abandoned = failed;
    pending_.reset();
  }
  detail::SaveGate gate_;

 private:
  template <class> friend struct detail::StateFiles;

  Run& self() { return static_cast<Run&>(*this); }

  /// Calls f(StateFiles<R>), or says in one sentence which header has it.
  template <class R, Activity A, class F> void files(F f) {
    if constexpr (detail::IsComplete<detail::StateFiles<R>>) {
      [[maybe_unused]] const auto span = self().template between_steps<A>();
      f(detail::StateFiles<R>{});
    } else
      detail::said<detail::NoStateFiles<R>>();
  }
  std::vector<NamedTensor> gather(bool gradients, Receivers to, double factor) {
    self().driver_.machine().settle();
    return detail::gather_by_name<typename Run::plan_type>(
        self().storage(), self().driver_.machine().comm(), gradients, to, factor);
  }

  std::shared_ptr<detail::PendingSave> pending_;
};

}  // namespace cohort
