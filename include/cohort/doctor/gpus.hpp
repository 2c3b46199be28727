// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/gpus.hpp: NVIDIA GPUs as the operating system shows them, without CUDA; which of them are visible.
#pragma once
#include <cohort/doctor/command.hpp>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/system.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::checkup {

/// What the machine has, what its driver has, and what of it this process (a container) was given.
struct Gpus {
  int on_bus = 0, of_driver = 0, given = 0;
  std::optional<Version> driver;
  std::vector<std::string> uuids;  // of the driver
};
/// What the system's files tell of NVIDIA GPUs, without CUDA.
inline Gpus gpus_of(const System& system) {
  Gpus out;
  for (const std::string& device : names_in(system, "/sys/bus/pci/devices")) {
    const std::string folder = "/sys/bus/pci/devices/" + device;
    // Display controllers: VGA (0300) and 3D (0302).
    out.on_bus += read_line(system, folder + "/vendor") == "0x10de" &&
                  read_line(system, folder + "/class").starts_with("0x03");
  }
  const std::string driver = read_line(system, "/proc/driver/nvidia/version");
  const std::size_t at = driver.find("Kernel Module");
  if (at != driver.npos) out.driver = version_in(std::string_view(driver).substr(at));
  for (const std::string& gpu : names_in(system, "/proc/driver/nvidia/gpus")) {
    ++out.of_driver;
    const auto text = read(system, "/proc/driver/nvidia/gpus/" + gpu + "/information");
    out.uuids.emplace_back(field(text.value_or(""), "GPU UUID"));
  }
  for (const std::string& name : names_in(system, "/dev"))
    out.given += name.starts_with("nvidia") && number(std::string_view(name).substr(6));
  return out;
}

namespace detail {

/// CUDA takes the list up to the first entry that is wrong, and says nothing.
///
/// Source   CUDA C++ Programming Guide, CUDA Environment Variables.
inline void visible(std::string_view value, const Gpus& gpus, Findings& out) {
  const char* name = "CUDA_VISIBLE_DEVICES";
  const int count = gpus.given > 0 ? gpus.given : gpus.of_driver;
  const bool hides_all = split(value, ',').empty() || trimmed(value) == "-1";
  if (count == 0 && hides_all) return out.ok(name, phrase("'", value, "' hides all GPUs"));
  if (count == 0)
    return out.warning(name, phrase("'", value, "', though no GPU is here"),
                       "Unset it to train on the CPU; for GPUs see the line above.");
  const std::string fix =
      phrase("Name GPUs from 0 to ", count - 1, " (nvidia-smi -L), or unset it.");
  if (hides_all) return out.warning(name, phrase("'", value, "' hides all GPUs"), fix);
  std::vector<std::string> seen;
  for (const std::string& entry : split(value, ',')) {
    const auto ordinal = number(entry);
    const bool by_name = entry.starts_with("GPU-") || entry.starts_with("MIG-");
    const bool known = std::any_of(gpus.uuids.begin(), gpus.uuids.end(),
                                   [&](const std::string& u) { return u.starts_with(entry); });
    const bool unknown_name = by_name && entry.starts_with("GPU-") && !gpus.uuids.empty() && !known;
    const bool absent = ordinal ? *ordinal >= static_cast<std::uint64_t>(count) : !by_name;
    if (absent || unknown_name)
      return out.problem(name,
                         phrase(value, ": there is no GPU ", entry, " among ", count,
                                ", and CUDA ignores it and all after it"),
                         fix);
    if (std::find(seen.begin(), seen.end(), entry) != seen.end())
      return out.problem(
          name, phrase(value, ": names GPU ", entry, " twice, and CUDA then sees none"), fix);
    seen.push_back(entry);
  }
  out.ok(name, std::string(value));
}

}  // namespace detail

/// Drivers, devices, CUDA_VISIBLE_DEVICES.
inline std::vector<Finding> gpus(const System& system) {
  Findings out("GPUs");
  const Gpus gpus = gpus_of(system);
  if (gpus.on_bus == 0 && gpus.of_driver == 0 && gpus.given == 0) {
    out.ok("NVIDIA", "none: cohort trains on the CPU");
  } else if (!gpus.driver) {
    out.warning(
        "NVIDIA", phrase(counted(gpus.on_bus, "GPU"), ", but NVIDIA's driver is not loaded"),
        "Install the driver (Debian: nvidia-driver; Ubuntu: ubuntu-drivers install) and look at "
        "nvidia-smi, or train on the CPU.");
  } else if (gpus.given == 0) {
    out.warning(
        "NVIDIA",
        phrase(counted(gpus.of_driver, "GPU"), " with driver ", text(*gpus.driver),
               ", but /dev has none of them"),
        "Hand them in: docker --gpus all, or under Slurm --gpus-per-node; on the machine itself "
        "run nvidia-modprobe -c 0 -u.");
  } else {
    const std::string found = phrase(counted(gpus.given, "GPU"), ", driver ", text(*gpus.driver));
    constexpr Version least{{525, 60, 13}};  // the first of CUDA 12; newer toolkits of 12 run on it
    if (*gpus.driver < least)
      out.warning("NVIDIA", found + ": too old for CUDA 12",
                  phrase("Install driver ", text(least), " or newer (580 for CUDA 13)."));
    else
      out.ok("NVIDIA", found);
  }
  if (const char* value = system.environment("CUDA_VISIBLE_DEVICES"))
    detail::visible(value, gpus, out);
  return out.take();
}

}  // namespace cohort::checkup
