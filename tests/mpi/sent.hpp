// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/sent.hpp: what this process handed to MPI, counted between cohort and MPI.
#pragma once
#include <cstdint>

namespace cohort::test {

/// Messages and bytes that MPI was asked to send since the process started.
struct Sent {
  std::int64_t messages = 0;
  std::int64_t bytes = 0;
};
Sent sent();

}  // namespace cohort::test
