// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/arena.hpp: the blocks of memory that are taken once, before step 0.
#pragma once
#include <cohort/core/error.hpp>
#include <cohort/core/tensor.hpp>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace cohort {

/// Owns one zeroed, aligned piece of host memory. Takes exactly round_up(bytes, alignment) bytes.
class HostMemory {
 public:
  HostMemory() = default;
  explicit HostMemory(std::size_t bytes) : bytes_(round_up(bytes, alignment)) {
    if (bytes_ == 0) return;
    memory_.reset(take(bytes_));
    if (!memory_) {
      throw Error(-1, "memory",
                  "the host refused " + std::to_string(bytes_) +
                      " bytes. Use a smaller batch, more ranks with sharding, or a "
                      "smaller model; print(plan) lists what is needed.");
    }
    std::memset(memory_.get(), 0, bytes_);
  }
  template <class T> T* as() const { return static_cast<T*>(memory_.get()); }
  std::size_t bytes() const { return bytes_; }

 private:
  static void* take(std::size_t bytes) {
#if defined(__linux__)
    // Fewer TLB misses; where the system has no huge pages to give, nothing changes.
    constexpr std::size_t huge_page = std::size_t{2} << 20;
    if (bytes >= 2 * huge_page) {
      void* memory = nullptr;
      if (::posix_memalign(&memory, huge_page, bytes) != 0) return nullptr;
      ::madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);
      return memory;
    }
#endif
    return std::aligned_alloc(alignment, bytes);
  }
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  std::size_t bytes_ = 0;
};

/// A two-ended stack over one piece of memory, of the host (its own) or of a device: `low` grows up, `high` grows
/// down. Nothing is ever freed singly: mark() and release() pop whole ranges. A one-ended user stays on
/// `low`.
class Arena {
 public:
  /// A place to go back to: what is taken after it is given back with it.
  struct Mark {
    std::size_t low = 0, high = 0;
  };
  enum class End { low, high };

  Arena() = default;
  Arena(const char* purpose, std::size_t bytes)
      : block_(bytes),
        begin_(block_.as<std::byte>()),
        capacity_(block_.bytes()),
        purpose_(purpose) {}
  /// Over memory of somebody else, which outlives it: that of a GPU.
  Arena(const char* purpose, std::byte* begin, std::size_t bytes)
      : begin_(begin), capacity_(bytes), purpose_(purpose) {}

  template <class T> T* take(std::size_t count, End end = End::low) {
    const std::size_t n = round_up(count * sizeof(T), alignment);
    if (n > capacity_ - used()) overflow(n);
    std::size_t at = mark_.low;
    if (end == End::low)
      mark_.low += n;
    else
      at = capacity_ - (mark_.high += n);
    return reinterpret_cast<T*>(begin_ + at);
  }
  Mark mark() const { return mark_; }
  void release(Mark to) { mark_ = to; }
  void release(Mark to, End end) {
    if (end == End::low)
      mark_.low = to.low;
    else
      mark_.high = to.high;
  }
  std::size_t used() const { return mark_.low + mark_.high; }
  std::size_t capacity() const { return capacity_; }

 private:
  [[noreturn]] void overflow(std::size_t wanted) const {
    const std::string_view purpose = purpose_;
    const char* why =
        purpose == "backward"
            ? "a backward makes more gradients than it returns: take temporaries from ctx.scratch. "
              "A layer that calls a child several times, or makes tensors between its children, "
              "declares backward_bytes(rows): all that lives at once."
        : purpose == "scratch"
            ? "a layer takes more from ctx.scratch than its scratch_bytes(rows) declares."
            : "a layer makes tensors that it neither returns nor keeps: use ctx.scratch and "
              "declare scratch_bytes(rows).";
    throw ContractBroken(
        -1, "memory",
        "the " + std::string(purpose) + " arena holds " + std::to_string(capacity_) + " bytes, " +
            std::to_string(used()) + " are taken and a layer asks for " + std::to_string(wanted) +
            " more. Either the batch has more rows than the options announced, or " + why);
  }
  HostMemory block_;
  std::byte* begin_ = nullptr;
  std::size_t capacity_ = 0;
  Mark mark_;
  const char* purpose_ = "unnamed";
};

}  // namespace cohort
