// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_saving.hpp: the gpt examples' checkpoints: when they are made, and where a run goes on.
#pragma once
#include "gpt_arguments.hpp"

#include <charconv>
#include <cohort/checkpoint.hpp>
#include <cohort/cohort.hpp>
#include <cohort/io/checkpoint_directory.hpp>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <system_error>

namespace example {

/// Makes the directory of --save and returns the checkpoint to go on from, if --resume is given and
/// there is one. A directory that holds one is not written to without --resume.
inline std::optional<std::filesystem::path> prepare_saving(const GptArguments& a) {
  using namespace cohort;
  if (a.save.empty()) return {};
  std::error_code error, ignored;
  std::filesystem::create_directory(a.save, error);
  if (!std::filesystem::is_directory(a.save, ignored))
    throw InvalidInput(-1, "--save '" + a.save + "'",
                       (std::filesystem::exists(a.save, ignored)
                            ? "it is a file, not a directory"
                            : "the directory cannot be made (" + error.message() + ")") +
                           "; name a new one in a directory that exists and is writable");
  std::optional<std::filesystem::path> found;
  try {
    found = io::CheckpointDirectory(a.save).latest();
  } catch (const io::MalformedFile&) {
    throw;
  } catch (const InvalidInput&) {  // none yet
  }
  if (found && !a.resume)
    throw InvalidInput(-1, "--save '" + a.save + "'",
                       "it holds '" + found->filename().string() +
                           "' of an earlier run; add --resume to go on from there, or name "
                           "another directory");
  return found;
}

/// Saves a run as the arguments ask for it; without --save it does nothing.
///
/// Comm     all functions are collective.
template <class Run> class Saving {
 public:
  Saving(Run& run, const GptArguments& a) : run_(run), a_(a), directory_(a.save) {}

  bool wanted() const { return !a_.save.empty(); }
  std::filesystem::path best() const { return directory_ / "best"; }

  /// Loads the checkpoint; returns what to tell the user.
  std::string resume(const std::filesystem::path& from) {
    const cohort::Loaded loaded = run_.load(from);
    saved_ = loaded.step;
    if (const auto best = loaded.notes.find(best_note); best != loaded.notes.end())
      std::from_chars(best->second.data(), best->second.data() + best->second.size(), best_);
    std::string said = "resumed '" + from.string() + "' after step " + std::to_string(loaded.step) +
                       " of " + std::to_string(a_.steps);
    const int before = loaded.ranks * loaded.batch, now = run_.size() * a_.batch;
    if (before != now)
      said += "\nit was saved by " + std::to_string(loaded.ranks) + " ranks of " +
              std::to_string(loaded.batch) + " rows: a step now has " + std::to_string(now) +
              " rows instead of " + std::to_string(before);
    if (!loaded.same_options)
      said += "\nthe options are not those of the checkpoint; the run goes on with the new ones";
    if (loaded.step >= a_.steps) said += "\nnothing is left to train: raise --steps to go on";
    return said;
  }

  /// After a validation: keeps the best model apart.
  void validated(double loss) {
    if (!wanted() || !(loss < best_)) return;
    best_ = loss;
    run_.save(best(), options(1));
  }
  /// After a step: begins a save where one is due.
  void stepped(std::int64_t step) {
    if (a_.save_every == 0 || step % a_.save_every != 0) return;
    run_.save_async(directory_, options(a_.keep));
    saved_ = step;
  }
  /// At the end: returns when the last step is saved.
  void finish() {
    if (!wanted()) return;
    run_.wait_for_save();
    if (saved_ == run_.steps_done()) return;
    run_.save(directory_, options(a_.keep));
    saved_ = run_.steps_done();
  }

 private:
  static constexpr const char* best_note = "best_validation_loss";

  /// Batches are drawn by the number of the step: there is no position to keep.
  cohort::SaveOptions options(int keep) const {
    char text[32];
    char* end = std::to_chars(text, text + sizeof text, best_).ptr;
    return {.keep = keep, .data = {}, .notes = {{best_note, std::string(text, end)}}};
  }

  Run& run_;
  const GptArguments& a_;
  std::filesystem::path directory_;
  std::int64_t saved_ = -1;  // the step of the latest checkpoint
  double best_ = std::numeric_limits<double>::infinity();
};

}  // namespace example
