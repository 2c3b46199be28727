// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_saving_bodies.hpp: what gpt_saving.hpp declares.
#pragma once
#include "gpt_saving.hpp"

#include <charconv>
#include <cohort/checkpoint.hpp>
#include <cohort/io/checkpoint_directory.hpp>
#include <cohort/trace.hpp>
#include <filesystem>
#include <system_error>

namespace example {

inline constexpr const char* best_note = "best_validation_loss";

template <class Run> std::optional<std::string> Saving<Run>::prepare(const GptArguments& a) {
  using namespace cohort;
  if (!a.trace.empty()) io::TraceWriter here(a.trace);  // and leaves nothing
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
  return found ? std::optional(found->string()) : std::nullopt;
}

template <class Run> std::string Saving<Run>::resume(const std::string& from) {
  const cohort::Loaded loaded = run_.load(from);
  saved_ = loaded.step;
  if (const auto best = loaded.notes.find(best_note); best != loaded.notes.end())
    std::from_chars(best->second.data(), best->second.data() + best->second.size(), best_);
  std::string said = "resumed '" + from + "' after step " + std::to_string(loaded.step) + " of " +
                     std::to_string(a_.steps);
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

template <class Run> void Saving<Run>::validated(double loss) {
  if (!wanted() || !(loss < best_)) return;
  best_ = loss;
  run_.save(a_.save + "/best", options(1));
}

template <class Run> void Saving<Run>::stepped(std::int64_t step) {
  if (a_.save_every == 0 || step % a_.save_every != 0) return;
  run_.save_async(a_.save, options(a_.keep));
  saved_ = step;
}

template <class Run> void Saving<Run>::finish() {
  if (!wanted()) return;
  run_.wait_for_save();
  if (saved_ == run_.steps_done()) return;
  run_.save(a_.save, options(a_.keep));
  saved_ = run_.steps_done();
}

template <class Run> void Saving<Run>::trace() {
  if (!a_.trace.empty()) run_.write_trace(a_.trace, {.steps = a_.trace_steps});
}

/// Batches are drawn by the number of the step: there is no position to keep.
template <class Run> cohort::SaveOptions Saving<Run>::options(int keep) const {
  char text[32];
  char* end = std::to_chars(text, text + sizeof text, best_).ptr;
  return {.keep = keep, .data = {}, .notes = {{best_note, std::string(text, end)}}};
}

}  // namespace example
