// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/error.hpp: every exception that cohort throws, each with the rank and the operation.
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

namespace cohort {

/// What every cohort exception carries: the rank that noticed (-1: no world yet), the operation
/// that failed, and a sentence that says what was expected and what to do.
class Error : public std::runtime_error {
 public:
  Error(int rank, std::string_view operation, std::string_view sentence)
      : std::runtime_error(text(rank, operation, sentence)), rank_(rank), operation_(operation) {}

  int rank() const noexcept { return rank_; }
  const std::string& operation() const noexcept { return operation_; }

 private:
  static std::string text(int rank, std::string_view operation, std::string_view sentence) {
    std::string out = "cohort: ";
    if (rank >= 0) out += "rank " + std::to_string(rank) + ": ";
    return out.append(operation).append(": ").append(sentence);
  }
  int rank_;
  std::string operation_;
};

/// Bad input from outside: a file, an argument, an environment variable, a batch.
class InvalidInput : public Error {
 public:
  using Error::Error;
};

/// Two ranks disagree about what comes next: another plan, another collective, another count.
class Mismatch : public Error {
 public:
  using Error::Error;
};

/// A peer failed or left; the cause is the peer's own exception, which launch() rethrows.
class PeerFailed : public Error {
 public:
  using Error::Error;
};

/// A peer did not arrive in time.
class Timeout : public Error {
 public:
  using Error::Error;
};

/// A layer did what its declarations exclude: more memory than declared, children out of order.
class ContractBroken : public Error {
 public:
  using Error::Error;
};

/// Ranks hold different values of what must be the same on all of them (run/check_sync.hpp).
class OutOfSync : public Error {
 public:
  using Error::Error;
};

/// A loss or a gradient norm is NaN or infinite. Every rank of the run sees the same number and throws
/// instead of updating; on the CPU the run and its world are well, and who catches it on all of
/// these ranks goes on.
class NonFinite : public Error {
 public:
  using Error::Error;
};

}  // namespace cohort
