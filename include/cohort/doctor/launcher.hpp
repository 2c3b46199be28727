// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/launcher.hpp: which launcher started this process, and whether its variables are whole.
#pragma once
#include <cohort/comm/launcher_environment.hpp>
#include <cohort/comm/meeting_point.hpp>
#include <cohort/core/error.hpp>
#include <cohort/doctor/cores.hpp>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/system.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort::checkup {

/// The launcher that counts; none where its variables are wrong.
inline Launcher launcher_of(const Environment& environment) {
  try {
    const std::vector<Launcher> found = launchers(environment);
    return found.empty() ? Launcher{} : found.front();
  } catch (const InvalidInput&) {
    return {};
  }
}

/// Do the variables say that ranks are on more than one machine?
inline bool several_machines(const Environment& environment) {
  const Launcher launcher = launcher_of(environment);
  if (launcher.local_size > 0 && launcher.local_size < launcher.size) return true;
  return number(environment.text("SLURM_JOB_NUM_NODES")).value_or(1) > 1;
}

namespace detail {

/// An error's text without its head, in two: what is wrong, and what to do.
inline std::pair<std::string, std::string> wrong_and_fix(const Error& error) {
  std::string_view text(error.what());
  const std::string head = error.operation() + ": ";
  if (const std::size_t at = text.find(head); at != text.npos) text.remove_prefix(at + head.size());
  for (std::size_t at = 0; (at = text.find(". ", at)) != text.npos; ++at) {
    if (at + 2 < text.size() && text[at + 2] >= 'A' && text[at + 2] <= 'Z')
      return {std::string(text.substr(0, at)), std::string(text.substr(at + 2))};
  }
  if (text.ends_with('.')) text.remove_suffix(1);
  return {std::string(text), "Correct or unset it."};
}

inline void started_by(const System& system, const std::vector<Launcher>& found, Findings& out) {
  if (found.empty()) return out.ok("launcher", "none: started by hand");
  const Launcher& first = found.front();
  std::string text = phrase(name(first.kind), ": rank ", first.rank, " of ", first.size);
  if (first.local_size > 0 && first.local_rank >= 0)
    text += phrase(", process ", first.local_rank, " of ", first.local_size, " on this machine");
  for (std::size_t i = 1; i < found.size(); ++i) text += phrase("; inside ", name(found[i].kind));
  const auto present = static_cast<int>(cpus(system).present.size());
  if (first.size > 1 && first.kind == LauncherKind::torchrun && first.local_rank < 0) {
    out.warning("launcher", text + "; LOCAL_RANK is missing",
                "Set LOCAL_RANK to the number of this process on its machine: it chooses the GPU.");
  } else if (present > 0 && first.local_size > present) {
    out.warning("launcher", phrase(text, ", which has ", counted(present, "CPU")),
                phrase("Start at most ", counted(present, "process", "processes"),
                       " on this machine, or expect them to take turns."));
  } else {
    out.ok("launcher", text);
  }
}

/// sbatch and salloc set variables too, but start one process only.
inline void slurm(const Environment& environment, bool started, Findings& out) {
  const char* job = environment("SLURM_JOB_ID");
  if (job == nullptr || environment("SLURM_STEP_ID") != nullptr || started) return;
  const auto tasks = number(environment.text("SLURM_NTASKS")).value_or(1);
  const std::string found =
      phrase("inside job ", job, " of ", counted(static_cast<std::int64_t>(tasks), "task"),
             ", but in no step: sbatch or salloc started this process, not srun");
  const std::string fix =
      "Start the program with srun (launch<Mpi>: srun --mpi=pmix) or mpirun; by itself it is one "
      "process.";
  if (tasks > 1)
    out.warning("Slurm", found, fix);
  else
    out.note("Slurm", found, fix);
}

inline void meeting_variables(const Environment& environment, const Launcher& launcher,
                              Findings& out) {
  const bool any = environment("MASTER_ADDR") != nullptr || environment("MASTER_PORT") != nullptr ||
                   environment("NCCL_COMM_ID") != nullptr;
  if (!any && launcher.size == 1) return;
  try {
    const std::string where = cohort::detail::nccl_meeting_point(launcher, environment);
    if (launcher.kind == LauncherKind::none)
      out.note(
          "meeting point",
          phrase("variables name ", where, ", but no launcher says which rank this is"),
          "Start the program with torchrun, srun or mpirun, or unset MASTER_ADDR, MASTER_PORT and "
          "NCCL_COMM_ID.");
    else
      out.ok("meeting point", phrase("ranks of launch<Nccl> meet at ", where));
  } catch (const Error& error) {
    auto [wrong, fix] = wrong_and_fix(error);
    // MPI introduces its ranks by itself; torchrun's have nothing else.
    if (any || launcher.kind == LauncherKind::torchrun)
      out.problem("meeting point", std::move(wrong), std::move(fix));
    else
      out.note("meeting point", "no MASTER_ADDR and MASTER_PORT: launch<Nccl> needs them",
               "launch<Mpi> and launch<NcclMpi> need nothing; for launch<Nccl> set them, or "
               "NCCL_COMM_ID=host:port, to rank 0's machine.");
  }
}

}  // namespace detail

/// What launch() will make of the variables, by the rules of comm/launcher_environment.hpp.
inline std::vector<Finding> launcher(const System& system) {
  Findings out("launcher");
  Launcher first;
  try {
    const std::vector<Launcher> found = launchers(system.environment);
    if (!found.empty()) first = found.front();
    detail::started_by(system, found, out);
  } catch (const Error& error) {
    auto [wrong, fix] = detail::wrong_and_fix(error);
    out.problem("launcher", std::move(wrong), std::move(fix));
    return out.take();
  }
  detail::slurm(system.environment, first.kind != LauncherKind::none, out);
  detail::meeting_variables(system.environment, first, out);
  return out.take();
}

}  // namespace cohort::checkup
