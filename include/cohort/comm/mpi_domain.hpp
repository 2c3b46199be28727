// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/mpi_domain.hpp: a world of MPI processes: how its ranks wait, fail and part.
#pragma once
#include <cohort/comm/fate.hpp>
#include <cohort/comm/launch_options.hpp>
#include <cohort/comm/mpi_dead.hpp>
#include <cohort/comm/mpi_message.hpp>
#include <cohort/comm/mpi_process.hpp>
#include <cohort/comm/patience.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace cohort::detail {

/// The failure domain of one world of processes, and the lock under which this process calls MPI.
///
/// The first failure that a rank meets goes to all ranks as a notice, past whatever they wait for;
/// Fate keeps it. A rank that is done says so too, with its last notice: nobody waits for it then,
/// and everybody knows when the world is over.
///
/// Cost     one posted receive; a look at it is one MPI_Test.
/// Errors   PeerFailed: MPI itself fails.
class MpiDomain {
 public:
  /// Collective over MPI_COMM_WORLD; every rank waits `timeout` at most.
  MpiDomain(std::chrono::milliseconds timeout, int streams_per_rank)
      : fate_(seat(), has_cores(size_, streams_per_rank), timeout),
        told_(static_cast<std::size_t>(size_)) {
    MPI_Request ready = MPI_REQUEST_NULL;
    check(MPI_Comm_idup(MPI_COMM_WORLD, &comm_, &ready), "MPI_Comm_idup");
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    Patience patience(fate_.spins);
    for (int done = 0; done == 0; patience.wait()) {
      check(MPI_Test(&ready, &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (std::chrono::steady_clock::now() > deadline) {
        throw Timeout(rank_, "launch",
                      phrase("not all ", size_, " processes arrived within ", timeout.count(),
                             " ms. Find what holds one up, or raise LaunchOptions::timeout."));
      }
    }
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    sends_.reserve(2 * static_cast<std::size_t>(size_));
    listen_again();
  }
  MpiDomain(const MpiDomain&) = delete;
  MpiDomain& operator=(const MpiDomain&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  MPI_Comm comm() const { return comm_; }
  Fate& fate() { return fate_; }
  std::mutex& lock() { return mutex_; }

  /// Throws unless MPI succeeded; the death of a peer is this world's failure. Under the lock.
  void check(int code, std::string_view function) {
    if (code != MPI_SUCCESS && is_death(code)) {
      bury();
      if (fate_.failed()) fate_.raise(rank_, std::string(function));
    }
    check_mpi(code, rank_, function);
  }

  /// Records a failure and tells everyone, unless the world has failed already. The speaker, this
  /// rank unless said otherwise, reports it to the user: a failure that all ranks meet at the same
  /// time has one, whoever is first to tell.
  void fail(Cause cause, const std::exception_ptr& error, const std::string& sentence) {
    fail(cause, error, sentence, rank_);
  }
  void fail(Cause cause, const std::exception_ptr& error, const std::string& sentence,
            int speaker) {
    std::lock_guard lock(mutex_);
    if (fate_.failed()) return;
    speaker_ = speaker;
    fate_.fail(cause, error, sentence);
    tell(failure_, static_cast<std::int32_t>(cause), sentence);
  }
  /// True on the rank that reports the failure to the user. One that failed by itself waits a little
  /// for ranks below: where all meet the same failure, bad options say, the lowest speaks for them.
  bool speaks() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
    for (Patience patience(false); speaker_ == rank_; patience.wait()) {
      listen_now();
      const bool all_told =
          std::find(told_.begin(), told_.begin() + rank_, false) - told_.begin() == rank_;
      if (all_told || std::chrono::steady_clock::now() > deadline) break;
    }
    return speaker_ == rank_;
  }

  /// The lowest tag that no channel of this rank has, and the highest that one has now.
  int next_tag() const { return next_tag_; }
  void took_tag(int tag) {
    void* highest = nullptr;
    int known = 0;
    MPI_Comm_get_attr(comm_, MPI_TAG_UB, &highest, &known);
    if (known != 0 && tag >= *static_cast<int*>(highest)) {
      throw InvalidInput(
          rank_, "split",
          phrase("this MPI has ", tag,
                 " tags, one for each split() and duplicate() "
                 "of a world, and all are taken. Make groups once, not every step."));
    }
    next_tag_ = tag + 1;
  }

  /// True once some rank's function has returned.
  bool anybody_left() const { return num_left_.load() > 0; }

  /// Reads notices that have arrived. Under the lock.
  void listen() {
    for (int arrived = 0; mail_ != MPI_REQUEST_NULL;) {
      const int code = MPI_Test(&mail_, &arrived, MPI_STATUS_IGNORE);
      if (code != MPI_SUCCESS && is_death(code)) return bury();
      check(code, "MPI_Test");
      if (arrived == 0) return;
      const Notice notice = inbox_;
      told_[static_cast<std::size_t>(notice.rank)] = true;
      if (notice.what == Notice::left) {
        gone(notice.rank);
      } else if (!fate_.failed()) {
        speaker_ = notice.speaker;
        fate_.fail(static_cast<Cause>(notice.what), nullptr, notice.sentence.data());
      } else if (speaker_ == rank_ && notice.rank < rank_ && same_words(notice, failure_)) {
        speaker_ = notice.speaker;
      }
      listen_again();
    }
  }

  void listen_now() {
    std::lock_guard lock(mutex_);
    listen();
  }

  /// This rank is done: tells everyone, and returns true when all are done, false when the world
  /// has failed. Waits without a limit while peers are well: they may have work of their own.
  bool part() {
    leave();
    for (Patience patience(false);; patience.wait()) {
      std::lock_guard lock(mutex_);
      const bool over = all_left();
      if (fate_.failed()) return false;
      if (over) break;
    }
    std::lock_guard lock(mutex_);
    check(MPI_Comm_free(&comm_), "MPI_Comm_free");
    return true;
  }

  /// After a failure: lets the others end by themselves for a while, then ends them.
  void dissolve(std::chrono::milliseconds grace) {
    leave();
    const auto deadline = std::chrono::steady_clock::now() + grace;
    for (Patience patience(false);; patience.wait()) {
      std::lock_guard lock(mutex_);
      if (all_left()) return;
      if (std::chrono::steady_clock::now() < deadline) continue;
      std::fprintf(stderr, "%s\n", stragglers(grace).c_str());
      std::fflush(stderr);
      MPI_Abort(MPI_COMM_WORLD, 1);
    }
  }

 private:
  static constexpr int notice_tag = 0;

  int seat() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    return size_;
  }
  /// Is there a core for every thread of the ranks on this machine, and may this process use as
  /// many as it needs? (A launcher may bind it to one.) Without a launcher's word: all are here.
  static bool has_cores(int ranks, int streams_per_rank) {
    const Launcher launched = mpi_launcher(launchers());
    const std::int64_t here = launched.local_size > 0 ? launched.local_size : ranks;
    const auto online = static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN));
    return streams_per_rank <= usable_cores() &&
           here * streams_per_rank <= usable_cores(online, cpu_quota());
  }

  void tell(Notice& notice, std::int32_t what, const std::string& sentence) {
    notice.what = what;
    notice.rank = rank_;
    notice.speaker = speaker_;
    sentence.copy(notice.sentence.data(), notice.sentence.size() - 1);
    for (int r = 0; r < size_; ++r) {
      if (r == rank_) continue;
      sends_.emplace_back(MPI_REQUEST_NULL);
      MPI_Isend(&notice, sizeof(Notice), MPI_BYTE, r, notice_tag, comm_, &sends_.back());
    }
  }
  void leave() {
    std::lock_guard lock(mutex_);
    if (fate_.has_left(rank_)) return;
    tell(leaving_, Notice::left, "");
    gone(rank_);
  }
  void gone(int rank) {
    fate_.leave(rank);
    ++num_left_;
  }
  /// Peers died: nobody waits for them, and the lowest living rank names them. Under the lock.
  void bury() {
    std::string dead;
    for (int r : dead_ranks(comm_)) {
      if (fate_.has_left(r)) continue;
      dead += phrase(dead.empty() ? "rank " : ", rank ", r);
      told_[static_cast<std::size_t>(r)] = true;
      gone(r);
    }
    if (dead.empty() || fate_.failed()) return;
    for (speaker_ = 0; speaker_ < rank_ && fate_.has_left(speaker_);) ++speaker_;
    const std::string sentence = dead + " died: MPI lost its process, which said nothing before.";
    fate_.fail(Cause::left, nullptr, sentence);
    tell(failure_, static_cast<std::int32_t>(Cause::left), sentence);
  }
  /// Everybody's last notice is here and this rank's notices are on their way. Under the lock.
  bool all_left() {
    listen();
    bool sent = true;
    for (MPI_Request& request : sends_) {
      int done = 0;  // what cannot reach a dead rank is done too
      sent &= MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || done != 0;
    }
    return num_left_ == size_ && sent;
  }
  void listen_again() {
    mail_ = MPI_REQUEST_NULL;
    if (num_left_ + (fate_.has_left(rank_) ? 0 : 1) == size_) return;
    check(MPI_Irecv(&inbox_, sizeof(Notice), MPI_BYTE, MPI_ANY_SOURCE, notice_tag, comm_, &mail_),
          "MPI_Irecv");
  }
  std::string stragglers(std::chrono::milliseconds grace) const {
    std::string late;
    for (int r = 0; r < size_; ++r) {
      if (!fate_.has_left(r)) late += phrase(late.empty() ? "rank " : ", rank ", r);
    }
    return phrase("cohort: rank ", rank_, ": ", late, " did not end within ", grace.count(),
                  " ms of the failure: stopping all processes.");
  }

  int rank_ = 0, size_ = 1;
  Fate fate_;
  std::mutex mutex_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  MPI_Request mail_ = MPI_REQUEST_NULL;
  Notice inbox_, failure_, leaving_;
  std::vector<MPI_Request> sends_;
  std::vector<bool> told_;  // who has told this rank anything
  std::atomic<int> num_left_{0};
  int next_tag_ = notice_tag + 1;
  int speaker_ = -1;
};

}  // namespace cohort::detail
