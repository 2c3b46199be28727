// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor.hpp: doctor(): a check-up of the machine that a run is about to be started on. Needs no other part of cohort.
#pragma once
#include <cohort/doctor/cores.hpp>
#include <cohort/doctor/disk.hpp>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/gpus.hpp>
#include <cohort/doctor/instructions.hpp>
#include <cohort/doctor/kernel.hpp>
#include <cohort/doctor/launcher.hpp>
#include <cohort/doctor/meeting.hpp>
#include <cohort/doctor/memory.hpp>
#include <cohort/doctor/network.hpp>
#include <cohort/doctor/programs.hpp>
#include <cohort/doctor/report.hpp>
#include <cohort/doctor/system.hpp>
#include <cohort/doctor/variables.hpp>
#include <concepts>
#include <future>
#include <iterator>
#include <utility>
#include <vector>

namespace cohort {

/// What a check is: findings about a system.
template <class C>
concept Check = requires(const C& check, const checkup::System& system) {
  { check(system) } -> std::same_as<std::vector<Finding>>;
};

/// Looks at what a run depends on, and says what is wrong and what helps:
///
///     std::fputs(report(doctor()).c_str(), stdout);
///
/// More checks are functions that are handed in; including <cohort/doctor/mpi_library.hpp>,
/// <cohort/doctor/cuda/devices.hpp> and <cohort/doctor/nccl_library.hpp> brings
/// doctor(checkup::mpi, checkup::cuda, checkup::nccl).
///
/// Cost     some tenths of a second. Whatever could hang is waited for up to 1.5 s at the same time as
///          the rest (CUDA: 10 s). 8 MiB are written to a file without a name; nothing else is changed.
/// Errors   none: what cannot be found out is a finding too.
template <Check... Checks>
std::vector<Finding> doctor(const checkup::System& system, const Checks&... more) {
  // Where no thread can be had, std::async calls these later, one by one.
  auto programs = std::async([&] { return checkup::programs(system); });
  auto network = std::async([&] { return checkup::network(system); });
  auto meeting = std::async([&] { return checkup::meeting(system); });
  auto disk = std::async([&] { return checkup::disk(system); });
  std::vector<Finding> all;
  const auto add = [&](std::vector<Finding> findings) {
    std::move(findings.begin(), findings.end(), std::back_inserter(all));
  };
  add(checkup::cores(system));
  add(checkup::instructions(system));
  add(checkup::memory(system));
  add(checkup::kernel(system));
  add(programs.get());
  add(checkup::launcher(system));
  add(checkup::variables(system));
  add(network.get());
  add(meeting.get());
  add(checkup::gpus(system));
  (add(more(system)), ...);
  add(disk.get());
  return all;
}

/// The same for this machine, this process's variables and the directory that it is in.
template <Check... Checks> std::vector<Finding> doctor(const Checks&... more) {
  return doctor(checkup::System{}, more...);
}

}  // namespace cohort
