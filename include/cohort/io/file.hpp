// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/file.hpp: files read and written whole or not at all: typed errors, and what makes writes last.
#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cohort/core/error.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace cohort::io {

/// A file could not be written: the disk is full, a limit is reached, the device failed.
class WriteFailed : public Error {
 public:
  using Error::Error;
};

/// A file could not be read: it is not there, may not be read, or the device failed.
class ReadFailed : public Error {
 public:
  using Error::Error;
};

/// A file's contents are not what its format says: damaged, cut off, or made to do harm.
class MalformedFile : public InvalidInput {
 public:
  using InvalidInput::InvalidInput;
};

namespace detail {
/// "No space left on device (28); make room": the system's words and what to do about them.
inline std::string reason(int code) {
  std::string text = std::generic_category().message(code) + " (" + std::to_string(code) + ")";
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return text + "; make room or name another disk";
    case EFBIG:
      return text + "; raise the limit of a file's size (ulimit -f)";
    case ENOENT:
      return text + "; name a path that exists";
    case ENOTDIR:
      return text + "; a part of the path is a file, not a directory";
    case EISDIR:
      return text + "; the path is a directory, not a file";
    case EACCES:
    case EPERM:
      return text + "; ask for the right to it, or name another path";
    case EROFS:
      return text + "; name a disk that can be written";
    case EIO:
      return text + "; the disk may be failing: see the system's log";
    default:
      return text;
  }
}
template <class E>
[[noreturn]] void fail(std::string_view what, const std::string& path, int code) {
  throw E(-1, std::string(what) + " '" + path + "'", reason(code));
}
/// Calls a system function again when a signal interrupted it.
template <class F> auto uninterrupted(F f) {
  auto result = f();
  while (result < 0 && errno == EINTR) result = f();
  return result;
}
}  // namespace detail

/// Owns an open file. Every call does all it is asked or throws; nothing is written by a destructor.
///
/// Errors   ReadFailed, WriteFailed: path, the system's reason, what to do. Rank -1: whoever calls for a
///          rank says which.
/// Laws     short reads and writes and interrupted calls are carried on (tests/io/file_test.cpp).
class File {
 public:
  static File to_read(const std::filesystem::path& path) {
    return {open(path, O_RDONLY), path, false};
  }
  /// A new file, or an old one emptied.
  static File to_write(const std::filesystem::path& path) {
    return {open(path, O_RDWR | O_CREAT | O_TRUNC), path, true};
  }
  /// A file that is there, to write parts of.
  static File to_change(const std::filesystem::path& path) {
    return {open(path, O_RDWR), path, true};
  }
  File(File&& other) noexcept
      : file_(std::exchange(other.file_, -1)), path_(std::move(other.path_)) {}
  File& operator=(File&& other) noexcept {
    std::swap(file_, other.file_);
    std::swap(path_, other.path_);
    return *this;
  }
  ~File() {
    if (file_ >= 0) ::close(file_);
  }

  const std::string& path() const { return path_; }
  int descriptor() const { return file_; }
  std::uint64_t size() const {
    struct stat info {};
    if (::fstat(file_, &info) != 0) detail::fail<ReadFailed>("look at", path_, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

  /// Fills `to` with what stands at byte `at`; a file that ends before is MalformedFile.
  void read(std::uint64_t at, std::span<std::byte> to) const {
    while (!to.empty()) {
      const ssize_t n = detail::uninterrupted([&] {
        return ::pread(file_, to.data(), std::min(to.size(), most), static_cast<off_t>(at));
      });
      if (n < 0) detail::fail<ReadFailed>("read", path_, errno);
      if (n == 0)
        throw MalformedFile(-1, "read '" + path_ + "'",
                            "the file ends at byte " + std::to_string(at) + ", " +
                                std::to_string(to.size()) +
                                " bytes too early: it was cut off, or changed while it was read");
      to = to.subspan(static_cast<std::size_t>(n));
      at += static_cast<std::uint64_t>(n);
    }
  }
  void write(std::uint64_t at, std::span<const std::byte> from) const {
    while (!from.empty()) {
      const ssize_t n = detail::uninterrupted([&] {
        return ::pwrite(file_, from.data(), std::min(from.size(), most), static_cast<off_t>(at));
      });
      if (n <= 0) detail::fail<WriteFailed>("write", path_, n < 0 ? errno : EIO);
      from = from.subspan(static_cast<std::size_t>(n));
      at += static_cast<std::uint64_t>(n);
    }
  }
  /// Makes the file this long; what is added reads as zeros.
  void resize(std::uint64_t bytes) const {
    const auto set = [&] { return ::ftruncate(file_, static_cast<off_t>(bytes)); };
    if (detail::uninterrupted(set) != 0) detail::fail<WriteFailed>("resize", path_, errno);
  }
  /// Returns when what was written would survive a loss of power.
  void sync() const {
    if (detail::uninterrupted([&] { return ::fsync(file_); }) != 0)
      detail::fail<WriteFailed>("fsync", path_, errno);
  }
  /// Some file systems report a failed write only here.
  void close() {
    if (file_ >= 0 && ::close(std::exchange(file_, -1)) != 0 && errno != EINTR)
      detail::fail<WriteFailed>("close", path_, errno);
  }

  static constexpr std::size_t most = std::size_t{1} << 30;  // one call takes no more than 2 GiB

 private:
  File(int file, const std::filesystem::path& path, bool writes)
      : file_(file), path_(path.string()) {
    if (file_ >= 0) return;
    const int code = errno;
    if (writes) detail::fail<WriteFailed>("create", path_, code);
    detail::fail<ReadFailed>("open", path_, code);
  }
  static int open(const std::filesystem::path& path, int flags) {
    return detail::uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); });
  }

  int file_ = -1;
  std::string path_;
};

/// Makes names that were created, renamed or removed in a directory last.
inline void sync_directory(const std::filesystem::path& path) {
  const int file = detail::uninterrupted(
      [&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (file < 0) detail::fail<WriteFailed>("open directory", path.string(), errno);
  const int done = detail::uninterrupted([&] { return ::fsync(file); });
  const int code = errno;
  ::close(file);
  // Some network file systems cannot sync a directory and say so; they keep names on their own.
  if (done != 0 && code != EINVAL && code != ENOTSUP)
    detail::fail<WriteFailed>("fsync directory", path.string(), code);
}

/// Gives a file or directory another name, replacing a file of that name at once; not yet durable.
inline void move_to(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0)
    detail::fail<WriteFailed>("rename to", to.string(), errno);
}

/// Replaces a small file: readers see the old bytes or the new ones, also after a crash.
inline void write_atomically(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::path temporary = path;
  temporary += ".tmp";
  File file = File::to_write(temporary);
  file.write(0, std::as_bytes(std::span(text)));
  file.sync();
  file.close();
  move_to(temporary, path);
  const std::filesystem::path parent = path.parent_path();
  sync_directory(parent.empty() ? "." : parent);
}

}  // namespace cohort::io
