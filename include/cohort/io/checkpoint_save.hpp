// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/checkpoint_save.hpp: one rank's part in writing one checkpoint, at once or on a thread of its own.
#pragma once
#include <atomic>
#include <chrono>
#include <cohort/core/arena.hpp>
#include <cohort/io/checkpoint_directory.hpp>
#include <cohort/io/checkpoint_part_writer.hpp>
#include <cohort/io/streaming_copy.hpp>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>

namespace cohort::io {

/// "rank-00002-of-00004.safetensors".
inline std::string rank_file(int rank, int ranks) {
  char name[64];
  std::snprintf(name, sizeof name, "rank-%05d-of-%05d.safetensors", rank, ranks);
  return name;
}

/// What is to be written, and by whom.
struct SaveOrder {
  std::filesystem::path directory;  // of checkpoints
  std::filesystem::path temporary;  // of this one, made by rank 0
  std::int64_t step = 0;
  int rank = 0, ranks = 1;
  int keep = 0;                              // newest checkpoints that stay; 0: all
  std::vector<CheckpointPiece> pieces;       // this rank's
  std::map<std::string, std::string> facts;  // rank 0's: the manifest
};

/// Writes a rank's file, and on rank 0 makes a checkpoint of all ranks' files. Ranks meet in the file
/// system only: a file gets its name when its bytes are durable, so rank 0 may complete the checkpoint on
/// a thread while ranks train. What fails is kept: whoever waits for a save asks state() and error().
///
/// Errors   none are thrown. A failed save leaves the checkpoints that were there.
class CheckpointSave {
 public:
  enum class State : std::int32_t { writing, written, complete, failed };

  explicit CheckpointSave(SaveOrder order) : order_(std::move(order)) {}
  CheckpointSave(const CheckpointSave&) = delete;
  CheckpointSave& operator=(const CheckpointSave&) = delete;
  /// Waits for the thread, which ends by itself: see complete(). Rank 0 then removes what is not complete;
  /// before, other ranks might be writing it.
  ~CheckpointSave() {
    if (thread_.joinable()) thread_.join();
    if (order_.rank == 0 && state() != State::complete)
      CheckpointDirectory(order_.directory).discard(order_.temporary);
  }

  /// This rank's part, on the calling thread. source: see write_checkpoint_part.
  template <class Source> void write(Source source) {
    write_part(
        [&](const auto& path) { return write_checkpoint_part(path, order_.pieces, source); });
  }
  /// Rank 0, after write(): waits for the others' files, then makes the checkpoint complete. Gives up when
  /// it is told to, when a rank says that it failed, or when nothing has grown for `patience`.
  void complete(std::chrono::milliseconds patience = std::chrono::minutes(10)) {
    if (state() != State::written) return;
    attempt([&] {
      CheckpointDirectory directory(order_.directory);
      await_parts(patience);
      path_ = directory.commit(order_.temporary, order_.step, manifest());
      if (order_.keep > 0) directory.prune(order_.keep);
      set(State::complete);
    });
  }
  /// Both on a thread, from an image of the file in memory. Where `at` says where the pieces are, it copies
  /// them there first: they may change when `copying` is false. Without, they are there.
  void start(CheckpointPartLayout layout, std::span<std::byte> image,
             std::vector<const std::byte*> at = {}, std::atomic<bool>* copying = nullptr) {
    thread_ = std::jthread([this, layout = std::move(layout), image, at = std::move(at), copying] {
      for (std::size_t i = 0; i < at.size(); ++i)
        streaming_copy(image.data() + layout.place(i), at[i], order_.pieces[i].bytes());
      if (copying != nullptr) {
        copying->store(false, std::memory_order_release);
        copying->notify_all();
      }
      write_part([&](const auto& path) { return write_checkpoint_part(path, layout, image); });
      if (order_.rank == 0) complete();
    });
  }

  State state() const { return state_.load(std::memory_order_acquire); }
  /// This rank's part is over: nothing more will happen to it.
  bool over() const {
    const State s = state();
    return s == State::failed || s == (order_.rank == 0 ? State::complete : State::written);
  }
  /// Returns when it is over, or the time has passed.
  void wait_over(std::chrono::milliseconds time) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [&] { return over(); });
  }
  std::exception_ptr error() const { return error_; }
  /// The same, but nullptr on rank 0 when all that failed is that another rank's part did not come.
  std::exception_ptr own_error() const { return follows_ ? nullptr : error_; }
  const SaveOrder& order() const { return order_; }
  const std::filesystem::path& path() const { return path_; }  // of the complete checkpoint
  /// Lets rank 0 wait for no more files.
  void give_up() { given_up_.store(true, std::memory_order_release); }

 private:
  static constexpr const char* failed_suffix = ".failed";

  void set(State state) {
    const std::lock_guard lock(mutex_);
    state_.store(state, std::memory_order_release);
    changed_.notify_all();
  }
  template <class F> void attempt(F f) {
    try {
      f();
    } catch (...) {
      error_ = std::current_exception();
      tell_rank_0();
      set(State::failed);
    }
  }
  template <class F> void write_part(F write_to) {
    attempt([&] {
      const std::filesystem::path path = order_.temporary / rank_file(order_.rank, order_.ranks);
      std::filesystem::path unfinished = path;
      unfinished += ".part";
      const Written how = write_to(unfinished);
      move_to(unfinished, path);
      order_.facts["written"] = name(how);
      set(State::written);
    });
  }
  /// An empty file, so that rank 0 need not wait for a part that will not come.
  void tell_rank_0() const noexcept {
    if (order_.rank == 0) return;
    try {
      File::to_write(order_.temporary / (rank_file(order_.rank, order_.ranks) + failed_suffix));
    } catch (...) {
    }
  }
  void await_parts(std::chrono::milliseconds patience) {
    using Clock = std::chrono::steady_clock;
    Clock::time_point last_growth = Clock::now();
    std::uintmax_t seen = 0;
    for (int r = 1; r < order_.ranks;) {
      const std::filesystem::path file = order_.temporary / rank_file(r, order_.ranks);
      std::error_code ignored;
      if (std::filesystem::exists(file, ignored)) {
        ++r;
        last_growth = Clock::now();
        continue;
      }
      check_part(r, file, given_up_.load(std::memory_order_acquire));
      std::filesystem::path unfinished = file;
      unfinished += ".part";
      const std::uintmax_t size = std::filesystem::file_size(unfinished, ignored);
      if (!ignored && size != seen) {
        seen = size;
        last_growth = Clock::now();
      }
      if (Clock::now() - last_growth > patience) check_part(r, file, true);
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::milliseconds(5));
    }
  }
  void check_part(int r, const std::filesystem::path& file, bool give_up) {
    std::filesystem::path failed = file;
    failed += failed_suffix;
    std::error_code ignored;
    const bool says_so = std::filesystem::exists(failed, ignored);
    if (!says_so && !give_up) return;
    follows_ = true;
    throw WriteFailed(-1, "save '" + order_.directory.string() + "'",
                      "the part of rank " + std::to_string(r) +
                          (says_so ? " could not be written; that rank says why"
                                   : " did not arrive: all ranks must see the same directory") +
                          ". The checkpoints that were there are as they were");
  }
  Manifest manifest() const {
    Manifest manifest{order_.facts, {}};
    for (int r = 0; r < order_.ranks; ++r) {
      const std::string name = rank_file(r, order_.ranks);
      const std::uint64_t hash = CheckpointPart(order_.temporary / name).hash();
      manifest.files.push_back({name, File::to_read(order_.temporary / name).size(), hash});
    }
    return manifest;
  }

  SaveOrder order_;
  std::filesystem::path path_;
  std::exception_ptr error_;
  bool follows_ = false;
  std::atomic<State> state_{State::writing};
  std::atomic<bool> given_up_{false};
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace cohort::io
