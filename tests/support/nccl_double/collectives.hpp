// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/nccl_double/collectives.hpp: what a rank's stream does when it comes to a collective.
#pragma once
#include <support/nccl_double/state.hpp>

namespace cohort::nccl_double {

/// issued: the number of the call on this communicator, 0 in a graph (which may run any number of times).
void work(ncclComm& comm, const Call& call, const Meeting::Part& arrays, std::uint64_t issued,
          ncclResult_t fault, bool hangs);
/// The kernels of this call do not look at the abort flag.
bool deaf(const Call& call);

std::size_t bytes_of(ncclDataType_t type);
/// The name of a group's sends and receives on one communicator, which all its ranks come to.
inline constexpr const char* transfers = "ncclSend and ncclRecv";

}  // namespace cohort::nccl_double
