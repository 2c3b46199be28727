// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/warp.hpp: 32 lanes: their registers, and which of them are where in the program.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <support/ptx/program.hpp>
#include <vector>

namespace cohort::ptx {

class Block;

/// Lanes that are at the same instruction. A warp's lanes part at branches and run on together where
/// their paths meet: of several groups the one furthest behind goes first.
struct Group {
  int at;
  Mask lanes;
};

/// A copy to shared memory that has not arrived.
struct AsyncCopy {
  int lane, group;
  std::uint32_t to;
  std::uint64_t from;
  int bytes, read;
};

class Warp {
 public:
  Warp(Block& block, int index, int threads, const Program& program);

  Block& block() const { return *block_; }
  int index() const { return index_; }
  int thread(int lane) const { return index_ * lanes + lane; }
  Mask live() const { return live_; }
  bool done() const { return live_ == 0; }
  bool waits() const { return waits_; }
  void released() { waits_ = false; }
  std::uint32_t syncs() const { return syncs_; }

  /// Runs until all lanes have ended or wait at a barrier of the block.
  void run();

  // Registers, for operations.
  const std::byte* from(const Operand& o) const {
    return o.constant != nullptr ? o.constant : frame_.data() + o.offset;
  }
  std::byte* to(const Operand& o) { return frame_.data() + o.offset; }
  Mask predicate(const Operand& o) const {
    Mask bits;
    std::memcpy(&bits, from(o), sizeof bits);
    return bits;
  }
  void set_predicate(const Operand& o, Mask bits, Mask where) {
    const Mask all = (predicate(o) & ~where) | (bits & where);
    std::memcpy(to(o), &all, sizeof all);
  }
  /// One lane's value, extended to 64 bits without a sign.
  std::uint64_t word(const Operand& o, int lane) const {
    std::uint64_t value = 0;
    std::memcpy(&value, from(o) + lane * o.bytes, o.bytes);
    return value;
  }
  void set_word(const Operand& o, int lane, std::uint64_t value) {
    std::memcpy(to(o) + lane * o.bytes, &value, o.bytes);
  }

 private:
  void step(const Instruction& i, Mask mask);
  void branch(std::size_t group, const Instruction& i, Mask taken);
  void exit(Group& group, Mask mask);
  void merge();
  std::string described(const Instruction& i, const char* what) const;
  /// Do all lanes that `i` names stand in this group? Exited ones are no longer waited for.
  Mask named_by(const Instruction& i, Mask mask) const;
  /// Host memory behind an address of a lane's local memory.
  std::byte* own(int lane, std::uint64_t at, int bytes) const;
  void load(const Instruction& i, Mask mask);
  void store(const Instruction& i, Mask mask);
  void atomic(const Instruction& i, Mask mask);
  void load_matrix(const Instruction& i, Mask mask);
  void async_copy(const Instruction& i, Mask mask);
  void arrive(int lane, int pending);
  std::uint64_t address(const Instruction& i, int lane) const {
    return word(i.base, lane) + static_cast<std::uint64_t>(i.displacement);
  }

  Block* block_;
  int index_;
  const Program* program_;
  Mask live_;
  bool waits_ = false;
  std::uint32_t syncs_ = 0;
  std::vector<std::byte> frame_;
  std::vector<std::byte> local_;
  std::vector<Group> groups_;
  std::vector<AsyncCopy> copies_;
  std::array<int, lanes> committed_{};
};

}  // namespace cohort::ptx
