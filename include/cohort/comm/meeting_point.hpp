// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/meeting_point.hpp: where the processes of NCCL meet, as variables say it.
#pragma once
#include <cohort/comm/launcher_environment.hpp>
#include <cohort/core/error.hpp>

#include <string>
#include <string_view>

namespace cohort::detail {

/// "host:port", "[address]:port" with a port that exists; else an error that names the variable.
inline void check_meeting_point(const char* variable, std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    throw InvalidInput(-1, "launch",
                       phrase(variable, "='", text, "' is no host:port, e.g. 10.0.0.1:29500."));
  }
  launcher_number(phrase("the port of ", variable).c_str(), text.substr(colon + 1), 1, 65535);
}

/// Where processes meet that no MPI joins, as NCCL's own variable NCCL_COMM_ID has it: that variable
/// itself, or MASTER_ADDR and MASTER_PORT. torchrun keeps a store of its own on MASTER_PORT, so under
/// it this is the port after.
///
/// Errors   InvalidInput: nothing says where, half of it is missing, a port that cannot be one.
/// Source   NCCL v2.28.9-1, src/bootstrap.cc: with the variable set every rank makes the same id, and
///          rank 0 listens there.
template <class Lookup>
std::string nccl_meeting_point(const Launcher& launcher, const Lookup& lookup) {
  if (const char* id = lookup("NCCL_COMM_ID")) {
    check_meeting_point("NCCL_COMM_ID", id);
    return id;
  }
  const char* host = lookup("MASTER_ADDR");
  const char* port = lookup("MASTER_PORT");
  if (host == nullptr || port == nullptr) {
    const char* missing = host != nullptr ? "MASTER_ADDR is set but MASTER_PORT is missing"
                          : port != nullptr
                              ? "MASTER_PORT is set but MASTER_ADDR is missing"
                              : "MASTER_ADDR, MASTER_PORT and NCCL_COMM_ID are missing";
    throw InvalidInput(
        launcher.rank, "launch",
        phrase("this is one of ", launcher.size, " processes of ", name(launcher.kind),
               ", and nothing says where they meet: ", missing,
               ". Set MASTER_ADDR and MASTER_PORT, or NCCL_COMM_ID=host:port, to the "
               "machine of rank 0 and a free port, alike for all; under mpirun "
               "launch<NcclMpi> needs neither."));
  }
  int number = launcher_number("MASTER_PORT", port, 1, 65535);
  if (lookup("TORCHELASTIC_RUN_ID") != nullptr) number += number < 65535 ? 1 : -1;
  const std::string_view address = host;
  if (address.empty()) {
    throw InvalidInput(launcher.rank, "launch",
                       "MASTER_ADDR is empty. Set it to rank 0's machine.");
  }
  const bool bare_ipv6 = address.find(':') != std::string_view::npos && address.front() != '[';
  return bare_ipv6 ? phrase("[", address, "]:", number) : phrase(address, ":", number);
}

}  // namespace cohort::detail
