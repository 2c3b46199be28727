// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/writer_lock.hpp: tells a file that a living process writes from one that a crash left.
#pragma once
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cohort/io/file.hpp>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace cohort::io {

/// A lock on a file, which the system takes away when its process ends, however it ends. The file is
/// made where it is not there; what it holds is not looked at.
///
/// Errors   WriteFailed: the file cannot be made or opened.
/// Laws     of all who ask, of one process or several, at most one has the lock of a path; where the
///          file system has no locks, everybody has (tests/io/writer_lock_test.cpp). A forked
///          process shares its parent's locks: they last until both are gone.
class WriterLock {
 public:
  /// Nothing where somebody else has it, or has removed the file or its directory meanwhile.
  static std::optional<WriterLock> take(const std::filesystem::path& path) {
    WriterLock lock(detail::uninterrupted(
        [&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666); }));
    if (lock.file_ < 0 && errno != ENOENT) detail::fail<WriteFailed>("lock", path.string(), errno);
    if (lock.file_ < 0 || (::flock(lock.file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK))
      return {};
    struct stat mine {
    }, named{};
    const bool same = ::fstat(lock.file_, &mine) == 0 && ::stat(path.c_str(), &named) == 0 &&
                      mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
    return same ? std::optional(std::move(lock)) : std::nullopt;
  }
  WriterLock(WriterLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  WriterLock& operator=(WriterLock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~WriterLock() {
    if (file_ >= 0) ::close(file_);
  }

  /// Keeps a lock for this process, whichever object and thread lets it go.
  static void keep(const std::filesystem::path& path, WriterLock lock) {
    Kept& kept = all_kept();
    const std::lock_guard guard(kept.mutex);
    kept.locks.insert_or_assign(path, std::move(lock));
  }
  static void let_go(const std::filesystem::path& path) noexcept {
    Kept& kept = all_kept();
    const std::lock_guard guard(kept.mutex);
    kept.locks.erase(path);
  }

 private:
  struct Kept {
    std::mutex mutex;
    std::map<std::filesystem::path, WriterLock> locks;
  };
  static Kept& all_kept() {
    static Kept kept;
    return kept;
  }
  explicit WriterLock(int file) : file_(file) {}

  int file_;
};

}  // namespace cohort::io
