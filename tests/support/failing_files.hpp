// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/failing_files.hpp: system calls on files that fail, stop half-way or end the process
// when a test says so.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace cohort::test {

/// Counts the calls of this process, of all its threads, that name a file at or below a directory, and
/// makes the k-th of them (from 1) go wrong. One at a time; ends with the object.
///
/// Seen     open and openat, write, pwrite, ftruncate, fsync, fdatasync, close, rename, mkdir, remove,
///          unlink, unlinkat and rmdir, as the program and its C++ library call them. Not seen: calls of the C
///          library to itself (stdio, opendir), reading and asking (read, pread, stat, flock).
/// Lost     lose_power_before leaves what a disk may hold that was cut off from power then: of what no
///          fsync has made last, the test chooses what is gone. The model is the strict one: fsync of
///          a file keeps its bytes, fsync of a directory keeps the names in it, nothing else does.
///          Removed names stay removed.
///
///     FailingFiles files(directory);
///     files.fail(3, ENOSPC);
///     CHECK_THROWS(save(directory));
///     CHECK(files.log()[2] == "pwrite a/b");
class FailingFiles {
 public:
  enum Lost : unsigned {
    bytes = 1,         // of files: they are empty
    new_names = 2,     // made by open or mkdir
    first_rename = 4,  // of those that no fsync followed
    last_rename = 8,
    other_renames = 16,
    everything = 31
  };

  explicit FailingFiles(const std::filesystem::path& root);
  ~FailingFiles();
  FailingFiles(const FailingFiles&) = delete;
  FailingFiles& operator=(const FailingFiles&) = delete;

  /// The k-th call fails with this errno and does nothing (close does close); `lasting`: all after it
  /// fail too, but those that give back: close and what removes.
  void fail(int k, int code, bool lasting = false);
  /// No write takes more than this many bytes.
  void shorten_writes(std::size_t most);
  /// The process ends by SIGKILL before or after the k-th call.
  void kill_before(int k);
  void kill_after(int k);
  void lose_power_before(int k, unsigned lost);

  int calls() const;
  /// The calls, with paths below the directory: "pwrite a/b", "rename a -> c", "fsync ." .
  std::vector<std::string> log() const;
};

}  // namespace cohort::test
