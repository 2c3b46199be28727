// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/shadow.hpp: who wrote and read each two bytes of memory last, and whether anything ordered them.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace cohort::ptx {

/// One thread at one time, in 64 bits: its block, itself, the barriers and warp barriers that it has passed.
struct Moment {
  std::uint32_t block;     // within the grid
  std::uint16_t thread;    // within the block
  std::uint16_t barriers;  // of the block, modulo 2^16: as the next one
  std::uint16_t syncs;     // of its warp
};

/// What is known of two bytes. Reads by several threads are kept as one by all of a warp or of a block.
class Accesses {
 public:
  enum class How : std::uint8_t { read, write, atomic };
  /// "" or what is wrong: another thread's access that nothing orders before this one.
  const char* note(How how, Moment now) {
    if (how != How::read && read_ != 0 && !before(read_, now))
      return "writes what another thread reads";
    if (write_ != 0 && !before(write_, now) && !(how == How::atomic && (write_ & atomic) != 0))
      return how == How::read ? "reads what another thread writes"
                              : "writes what another thread writes";
    if (how != How::read) {
      write_ = packed(now, one) | (how == How::atomic ? atomic : 0);
    } else if (read_ == 0 || before(read_, now)) {
      read_ = packed(now, one);
    } else if (block_of(read_) != now.block) {
      read_ = packed(now, many) | everyone;
    } else if (warp_of(read_) != now.thread / 32u || (read_ & kinds) == many) {
      if ((read_ & everyone) == 0) read_ = packed(now, many);
    } else {
      read_ = packed(now, warp);
    }
    return nullptr;
  }
  bool written() const { return write_ != 0; }
  /// One of the two bytes, which is too little to find races by.
  void wrote(Moment now) { write_ = packed(now, one); }

 private:
  // syncs: 16 bits, barriers: 16, thread: 10, block: 18, everyone: 1, atomic: 1, kind: 2
  static constexpr std::uint64_t one = std::uint64_t{1} << 62, warp = std::uint64_t{2} << 62,
                                 many = std::uint64_t{3} << 62, kinds = many,
                                 atomic = std::uint64_t{1} << 61, everyone = std::uint64_t{1} << 60;
  static std::uint64_t packed(Moment m, std::uint64_t kind) {
    return kind | std::uint64_t{m.block & 0x3ffffu} << 42 | std::uint64_t{m.thread} << 32 |
           std::uint64_t{m.barriers} << 16 | m.syncs;
  }
  static std::uint32_t block_of(std::uint64_t a) {
    return static_cast<std::uint32_t>(a >> 42 & 0x3ffffu);
  }
  static std::uint32_t thread_of(std::uint64_t a) {
    return static_cast<std::uint32_t>(a >> 32 & 1023u);
  }
  static std::uint32_t warp_of(std::uint64_t a) { return thread_of(a) / 32; }
  /// Does something order all of `a` before `now`?
  static bool before(std::uint64_t a, Moment now) {
    if ((a & everyone) != 0 || block_of(a) != (now.block & 0x3ffffu)) return false;
    if (static_cast<std::uint16_t>(a >> 16) != now.barriers) return true;
    if ((a & kinds) == many) return false;
    if ((a & kinds) == one && thread_of(a) == now.thread) return true;
    return warp_of(a) == now.thread / 32u && static_cast<std::uint16_t>(a) != now.syncs;
  }

  std::uint64_t write_ = 0, read_ = 0;
};

/// Of memory that all blocks share, page by page; beyond `most` pages new ones are not watched.
class Watched {
 public:
  static constexpr std::size_t page_bytes = 4096;
  explicit Watched(std::size_t most) : most_(most) {}
  /// nullptr: not watched.
  Accesses* at(std::uint64_t address) {
    const std::uint64_t page = address / page_bytes;
    if (page != last_page_) {
      auto found = pages_.find(page);
      if (found == pages_.end()) {
        if (pages_.size() >= most_) return ++left_out_, nullptr;
        found = pages_.emplace(page, std::make_unique<Page>()).first;
      }
      last_page_ = page, last_ = found->second.get();
    }
    return &(*last_)[address % page_bytes / 2];
  }
  std::size_t left_out() const { return left_out_; }

 private:
  using Page = std::array<Accesses, page_bytes / 2>;
  std::size_t most_, left_out_ = 0;
  std::uint64_t last_page_ = ~std::uint64_t{0};
  Page* last_ = nullptr;
  std::unordered_map<std::uint64_t, std::unique_ptr<Page>> pages_;
};

}  // namespace cohort::ptx
