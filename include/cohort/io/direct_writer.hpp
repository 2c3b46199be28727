// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/direct_writer.hpp: writes pages of a file past the system's page cache, where the file system lets it.
#pragma once
#include <cohort/io/file.hpp>

namespace cohort::io {

/// Writes whole pages of a file straight from memory (O_DIRECT): nothing is copied, no kernel thread writes
/// back later. A file system that refuses, at once or at a write, gets them through its page cache; direct()
/// says which it was. Either way they last only after File::sync. The file takes other writes after end().
///
/// Cost     measured for 208 MiB from large pages: 3 ms of CPU time, 61 through the page cache and 6 in the
///          kernel's threads (docs/decisions/0008).
/// Errors   WriteFailed.
class DirectWriter {
 public:
  explicit DirectWriter(const File& file) : file_(file), direct_(set(true)) {}
  /// Have all bytes gone past the page cache so far?
  bool direct() const { return direct_; }
  /// Lets the file take other writes. As direct().
  bool end() {
    if (direct_) set(false);
    return direct_;
  }

  /// Pages in memory to a page of the file and those that follow.
  void write(std::uint64_t at, std::span<const std::byte> pages) {
    while (direct_ && !pages.empty()) {
      const std::size_t n = std::min(pages.size(), File::most);
      const ssize_t written = detail::uninterrupted(
          [&] { return ::pwrite(file_.descriptor(), pages.data(), n, static_cast<off_t>(at)); });
      if (written < 0 && errno == EINVAL) {  // another alignment, or none will do
        set(false);
        direct_ = false;
        break;
      }
      if (written <= 0) detail::fail<WriteFailed>("write", file_.path(), written < 0 ? errno : EIO);
      pages = pages.subspan(static_cast<std::size_t>(written));
      at += static_cast<std::uint64_t>(written);
    }
    file_.write(at, pages);
  }

 private:
  /// May fail only where it is switched on.
  bool set(bool on) const {
#if defined(O_DIRECT)
    const int flags = ::fcntl(file_.descriptor(), F_GETFL);
    return flags >= 0 &&
           ::fcntl(file_.descriptor(), F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
#else
    static_cast<void>(on);
    return false;
#endif
  }

  const File& file_;
  bool direct_;
};

}  // namespace cohort::io
