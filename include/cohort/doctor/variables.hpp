// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/variables.hpp: variables, and NCCL's file, that change what a run does or how quickly.
#pragma once
#include <cohort/doctor/cores.hpp>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/system.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace cohort::checkup {

namespace detail {

inline void omp_threads(const System& system, Findings& out) {
  const auto allowed = static_cast<int>(cpus(system).allowed.size());
  const char* text = system.environment("OMP_NUM_THREADS");
  const std::string fix = "Run export OMP_NUM_THREADS=1 where ranks are as many as cores.";
  if (text == nullptr) {
    if (allowed == 1) return out.ok("OMP_NUM_THREADS", "not set");
    return out.note("OMP_NUM_THREADS",
                    phrase("not set: each rank's OpenMP code (oneDNN, your own) takes all ",
                           counted(allowed, "CPU")),
                    fix);
  }
  const auto threads = number(split(text, ',').empty() ? "" : split(text, ',').front());
  if (!threads || *threads == 0)
    out.warning("OMP_NUM_THREADS", phrase("'", text, "' is no number of threads"), fix);
  else if (*threads == 1)
    out.ok("OMP_NUM_THREADS", "1");
  else
    out.note("OMP_NUM_THREADS", phrase(text, ": so many threads for each rank"), fix);
}

/// A variable that costs speed where it has this value.
struct Brake {
  const char* name;
  const char* value;
  const char* what;
};
inline constexpr Brake brakes[] = {
    {"CUDA_LAUNCH_BLOCKING", "1", "each kernel is waited for"},
    {"NCCL_P2P_DISABLE", "1", "GPUs of one machine do not reach each other directly"},
    {"NCCL_SHM_DISABLE", "1", "ranks of one machine talk through the network"},
    {"NCCL_IB_DISABLE", "1", "InfiniBand is not used"},
    {"NCCL_DEBUG", "INFO", "NCCL writes a page for each rank"},
    {"NCCL_DEBUG", "TRACE", "NCCL writes each call"},
    {"OMPI_MCA_btl", "tcp,self", "ranks of one machine talk through the network"},
    {"OMPI_MCA_btl", "self,tcp", "ranks of one machine talk through the network"},
};

}  // namespace detail

/// Variables of the environment that change what a run does.
inline std::vector<Finding> variables(const System& system) {
  Findings out("variables");
  detail::omp_threads(system, out);
  std::vector<std::string> others;
  for (const auto& [name, value] : system.environment.all()) {
    const detail::Brake* brake = nullptr;
    for (const detail::Brake& each : detail::brakes)
      if (name == each.name && value == each.value) brake = &each;
    if (name == "NCCL_COMM_BLOCKING" && value == "1")
      out.problem(name, "1: NCCL waits without limit, and launch<Nccl> refuses to start",
                  "Unset it.");
    else if (brake != nullptr)
      out.note(name, phrase(value, ": ", brake->what),
               "Unset it, unless you are looking for a fault.");
    else if (name.starts_with("NCCL_") || name.starts_with("OMPI_MCA_"))
      others.push_back(name + "=" + value);
  }
  constexpr std::string_view file = "/etc/nccl.conf";
  for (const std::string& line : split(read(system, file).value_or(""), '\n'))
    if (!line.starts_with('#')) others.push_back(phrase(line, " (", file, ")"));
  if (!others.empty()) out.ok("NCCL and MPI", listed(others));
  return out.take();
}

}  // namespace cohort::checkup
