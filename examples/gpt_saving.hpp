// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_saving.hpp: the gpt examples' checkpoints, when they are made and where a run goes on, and their trace.
#pragma once
#include "gpt_arguments.hpp"

#include <cohort/run/run_state.hpp>
#include <limits>
#include <optional>
#include <string>

namespace example {

/// Saves a run as the arguments ask for it; without --save and --trace it does nothing. The bodies are in
/// gpt_saving_bodies.hpp, compiled by x_files.cpp for the run of x.cpp: both compile at once.
///
/// Comm     all functions but prepare() are collective.
template <class Run> class Saving {
 public:
  /// Makes the directory of --save and returns the checkpoint to go on from, if --resume is given and
  /// there is one. A directory that holds one is not written to without --resume. A place for --trace
  /// that cannot be written is an error now, not after the training.
  static std::optional<std::string> prepare(const GptArguments& a);

  Saving(Run& run, const GptArguments& a) : run_(run), a_(a) {}

  bool wanted() const { return !a_.save.empty(); }
  /// Loads the checkpoint; returns what to tell the user.
  std::string resume(const std::string& from);
  /// After a validation: keeps the best model apart, in DIR/best.
  void validated(double loss);
  /// After a step: begins a save where one is due.
  void stepped(std::int64_t step);
  /// At the end: returns when the last step is saved.
  void finish();
  /// At the end: what the last steps did.
  void trace();

 private:
  cohort::SaveOptions options(int keep) const;

  Run& run_;
  const GptArguments& a_;
  std::int64_t saved_ = -1;  // the step of the latest checkpoint
  double best_ = std::numeric_limits<double>::infinity();
};

}  // namespace example
