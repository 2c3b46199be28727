// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/page_memory.hpp: memory that files are written from past the page cache: whole pages, large ones where there are any.
#pragma once
#include <sys/mman.h>

#include <cohort/core/error.hpp>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>

namespace cohort::io {

/// What direct I/O asks of places in files, lengths and addresses: no disk of today wants more, and a file
/// system that does says so (DirectWriter).
inline constexpr std::size_t page_bytes = 4096;

/// Owns bytes that begin a page. Nobody has touched them: the first to write them takes them from the system.
///
/// Cost     in pages of 2 MiB, where the system has any, a direct write of 8 MiB takes a fifth of the CPU
///          time that it takes in pages of 4 KiB (docs/decisions/0008).
/// Errors   Error: the host has no such memory.
class PageMemory {
 public:
  PageMemory() = default;
  explicit PageMemory(std::size_t bytes) {
    if (bytes == 0) return;
    const std::size_t unit = bytes >= large_page ? large_page : page_bytes;
    if (bytes <= most) memory_.reset(std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit));
    if (!memory_)
      throw Error(
          -1, "memory",
          "the host refused " + std::to_string(bytes) +
              " bytes to write a file from. save_async takes a copy of the rank's share, save() "
              "only a few MiB.");
    size_ = bytes;
#if defined(MADV_HUGEPAGE)  // where the system has none to give, nothing changes
    if (bytes >= large_page)
      ::madvise(memory_.get(), bytes / large_page * large_page, MADV_HUGEPAGE);
#endif
  }
  std::size_t size() const { return size_; }
  std::span<std::byte> bytes() const { return {static_cast<std::byte*>(memory_.get()), size_}; }

 private:
  static constexpr std::size_t large_page = std::size_t{2} << 20, most = SIZE_MAX / 2;
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  std::size_t size_ = 0;
};

}  // namespace cohort::io
