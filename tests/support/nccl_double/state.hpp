// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/nccl_double/state.hpp: what the double's communicators are made of.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <support/nccl_double/double.hpp>
#include <tuple>

namespace cohort::nccl_double {

/// What a group sends one peer, or receives from it.
struct Transfer {
  bool sends = false;
  int peer = 0;
  std::size_t bytes = 0;
  const void* from = nullptr;
  void* to = nullptr;
};

/// One collective under way: who has come, with which arrays.
struct Meeting {
  struct Part {
    const void* in = nullptr;
    void* out = nullptr;
    std::vector<Transfer> transfers = {};  // of a group of ncclSend and ncclRecv, in order
  };
  std::vector<Part> parts;
  Call call;
  int arrived = 0, left = 0;
  bool done = false, broken = false;
};

/// The ranks of one communicator. The first half belongs to hosts (under state().hosts), the second to
/// streams (under its own mutex): they share no lock.
struct Clique {
  explicit Clique(int ranks) : size(ranks), gpus(static_cast<std::size_t>(ranks), -1) {}
  const int size;
  std::vector<int> gpus;  // -1: has not come
  int arrived = 0;
  ncclResult_t formed = ncclSuccess;
  struct Split {
    std::vector<std::pair<int, int>> moves;  // color, key
    int arrived = 0;
    std::map<int, std::shared_ptr<Clique>> groups;
    ncclResult_t formed = ncclSuccess;
  };
  std::map<std::uint64_t, Split> splits;
  struct Registration {
    std::size_t bytes = 0;
    int arrived = 0;
  };
  std::map<std::uint64_t, Registration> registrations;
  std::atomic<bool> broken_up{false};  // some rank aborted

  std::mutex mutex;
  std::map<std::uint64_t, Meeting> meetings;
};

/// The faults that a test asked for: (size, rank, number) of a collective.
using Place = std::tuple<int, int, std::uint64_t>;

struct State {
  std::mutex hosts;
  std::map<std::string, std::shared_ptr<Clique>> forming;  // by id
  std::map<ncclComm*, std::shared_ptr<ncclComm>> comms;  // dead ones too: handles are never reused
  std::vector<Call> log;
  std::set<Place> hangs;
  std::map<Place, ncclResult_t> async_errors;
  std::map<std::string, ncclResult_t> failures, late_failures;
  std::set<std::string> blocked;
  std::map<const void*, std::size_t> memory;  // of ncclMemAlloc
  int next_id = 0, live = 0, destroyed = 0, aborted = 0;
  std::atomic<int> polls{2};
  std::atomic<bool> peers_hear{false};
  std::atomic<int> version{NCCL_VERSION_CODE};
  std::atomic<Registration> registration{Registration::windows};
};
State& state();

}  // namespace cohort::nccl_double

/// One rank's communicator.
struct ncclComm {
  std::shared_ptr<cohort::nccl_double::Clique> clique;
  int rank = 0;
  bool dead = false, finalized = false, stillborn = false;
  std::string last_error;
  std::atomic<bool> in_use{false};
  std::uint64_t issued = 0, splits = 0, registered = 0;
  struct Registered {
    const char* begin;
    std::size_t bytes;
    bool window;  // else a buffer
  };
  std::map<const void*, Registered> memory;  // by handle

  bool knows(const void* at, std::size_t bytes, bool as_window) const {
    const auto* begin = static_cast<const char*>(at);
    for (const auto& [handle, m] : memory)
      if (begin >= m.begin && begin + bytes <= m.begin + m.bytes && m.window >= as_window)
        return true;
    return false;
  }

  /// A call in progress: done() is asked at each look once `looks` have passed.
  int looks = 0;
  std::function<ncclResult_t()> pending;
  cudaStream_t captured = nullptr;  // the stream of a collective that is being added to a graph

  // Shared with this rank's streams, always relaxed.
  std::atomic<bool> aborted{false};
  std::atomic<bool> given_up{false};  // an abort that would never return was reported
  std::atomic<int> async_error{ncclSuccess}, in_flight{0};
  std::atomic<int> in_graphs{0};  // calls that live graphs hold
  std::atomic<std::uint64_t> done{0}, executed{0};
};
