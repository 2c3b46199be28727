// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/allocations.hpp: counts what the process allocates, and says which library asked
// for it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::test {

/// What was allocated between the start and the stop of a count. Bytes are the bytes asked for.
struct AllocationTotals {
  std::int64_t count = 0;  // calls that returned new memory: malloc and kin, operator new, mmap
  std::int64_t bytes = 0;  // their sum
  std::int64_t live_bytes = 0;  // allocated minus freed; negative when older memory was freed
  std::int64_t peak_bytes = 0;  // the highest live_bytes seen
};

/// The part of a count that was asked for from one file: the program itself or a shared library.
struct LibraryAllocations {
  std::string library;  // file name without directories, "libdnnl.so.2"
  std::int64_t count = 0;
  std::int64_t bytes = 0;
};

/// Counts the allocations of the whole process from construction to stop() or destruction.
///
/// malloc, calloc, realloc, the aligned ones, free, operator new and delete, mmap and munmap are
/// interposed in every test executable. Not seen: glibc's own mmap calls (thread stacks, and the
/// pages behind malloc, whose malloc is counted) and memory that a library takes by a raw system
/// call.
///
/// Cost     a few atomic additions per allocation while a count runs; a header of 16 bytes always.
/// Errors   a second count while one runs: std::logic_error. Under a sanitizer nothing is counted;
///          tests that need counts skip there: `if (!Allocations::available) return;`.
class Allocations {
 public:
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static constexpr bool available = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  static constexpr bool available = false;
#else
  static constexpr bool available = true;
#endif
#else
  static constexpr bool available = true;
#endif

  Allocations();
  ~Allocations();
  Allocations(const Allocations&) = delete;
  Allocations& operator=(const Allocations&) = delete;

  void stop();  // also lets the report's own allocations go uncounted

  AllocationTotals all_threads() const;
  AllocationTotals this_thread() const;  // the calling thread's; call it on the thread in question

  /// By the file that made the call, most calls first. Call after stop().
  std::vector<LibraryAllocations> by_library() const;

  /// Calls and bytes of all threads, those from libraries whose name contains one of `left_out`
  /// apart. live_bytes and peak_bytes are zero: a block may be freed by another library than asked
  /// for it.
  AllocationTotals without(const std::vector<std::string_view>& left_out) const;

  /// One line per place that allocated: count, bytes, library, function. For failure messages.
  std::string report() const;
};

}  // namespace cohort::test
