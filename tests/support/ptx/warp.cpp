// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/warp.cpp: one instruction after another, for the lanes that are at it.
#include <support/ptx/machine.hpp>
#include <support/ptx/warp.hpp>

namespace cohort::ptx {

namespace {
template <class F> void for_lanes(Mask mask, F f) {
  for (; mask != 0; mask &= mask - 1) f(std::countr_zero(mask));
}
std::uint64_t extended(std::uint64_t value, int bytes) {
  const int shift = 64 - 8 * bytes;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >> shift);
}
/// The addresses of active lanes.
struct Addresses {
  std::array<std::uint64_t, lanes> all;
  std::size_t n = 0;
  void add(std::uint64_t address) { all[n++] = address; }
  operator std::span<const std::uint64_t>() const { return {all.data(), n}; }
  void count(Block& block, Space space, int bytes, bool store) const {
    const bool window = space == Space::generic && n > 0 && all[0] >= shared_window;
    if (space == Space::shared || window)
      block.count_shared(*this, bytes);
    else if (space == Space::global || space == Space::generic)
      block.count_global(*this, bytes, store);
    else if (space == Space::local)
      block.counts().local_bytes += n * static_cast<unsigned>(bytes);
  }
};
}  // namespace

Warp::Warp(Block& block, int index, int threads, const Program& program)
    : block_(&block),
      index_(index),
      program_(&program),
      live_(threads == lanes ? all_lanes : (Mask{1} << threads) - 1),
      frame_(program.frame_bytes, std::byte{0xcd}),
      local_(program.local_bytes * lanes, std::byte{0xcd}) {
  groups_.push_back({0, live_});
  const auto fill = [&](std::uint32_t at, auto value_of) {
    for (int l = 0; l < lanes; ++l) {
      const auto value = value_of(l);
      std::memcpy(frame_.data() + at + static_cast<std::size_t>(l) * sizeof value, &value,
                  sizeof value);
    }
  };
  const auto all = [&](std::uint32_t at, std::uint32_t value) {
    fill(at, [=](int) { return value; });
  };
  const Launch& launch = block.launch();
  fill(Fixed::tid, [=, this](int l) { return static_cast<std::uint32_t>(thread(l)); });
  all(Fixed::tid + 128, 0), all(Fixed::tid + 256, 0);
  all(Fixed::ntid, static_cast<std::uint32_t>(launch.threads)), all(Fixed::ntid + 128, 1),
      all(Fixed::ntid + 256, 1);
  all(Fixed::ctaid, block.index()), all(Fixed::ctaid + 128, 0), all(Fixed::ctaid + 256, 0);
  all(Fixed::nctaid, static_cast<std::uint32_t>(launch.blocks)), all(Fixed::nctaid + 128, 1),
      all(Fixed::nctaid + 256, 1);
  fill(Fixed::laneid, [](int l) { return static_cast<std::uint32_t>(l); });
  all(Fixed::warpid, static_cast<std::uint32_t>(index));
  const auto params = reinterpret_cast<std::uintptr_t>(launch.params.data());
  fill(Fixed::params, [=](int) { return std::uint64_t{params}; });
  const auto local = reinterpret_cast<std::uintptr_t>(local_.data());
  fill(Fixed::local, [&](int l) {
    return std::uint64_t{local + static_cast<std::size_t>(l) * program.local_bytes};
  });
}

std::string Warp::described(const Instruction& i, const char* what) const {
  std::string text(i.text.substr(0, i.text.find(';')));
  for (char& c : text)
    if (c == '\t' || c == '\n') c = ' ';
  const auto file = program_->files.find(i.file);
  return std::string(what) + "\n  at " + (text.empty() ? "the end" : text) +
         (file == program_->files.end()
              ? ""
              : "\n  from " + file->second + ":" + std::to_string(i.line)) +
         "\n  in warp " + std::to_string(index_) + " of block " + std::to_string(block_->index());
}

void Warp::merge() {
  std::sort(groups_.begin(), groups_.end(),
            [](const Group& a, const Group& b) { return a.at < b.at; });
  std::size_t kept = 0;
  for (std::size_t i = 1; i < groups_.size(); ++i) {
    if (groups_[i].at == groups_[kept].at)
      groups_[kept].lanes |= groups_[i].lanes;
    else
      groups_[++kept] = groups_[i];
  }
  groups_.resize(kept + 1);
}

Mask Warp::named_by(const Instruction& i, Mask mask) const {
  if (i.kind == Kind::load_matrix || i.number == 1) return live_;  // .aligned: of the whole warp
  const Operand& members = i.from[static_cast<std::size_t>(i.inputs - 1)];
  Mask named = 0;
  for_lanes(mask, [&](int l) { named |= static_cast<Mask>(word(members, l)); });
  for_lanes(mask, [&](int l) {
    if ((static_cast<Mask>(word(members, l)) >> l & 1u) == 0)
      throw Mistake("a lane does not name itself");
  });
  return named & live_;
}

void Warp::run() {
  waits_ = false;
  std::size_t blocked = 0;  // groups from the first that wait for others of the warp
  while (!groups_.empty()) {
    merge();
    if (blocked >= groups_.size()) blocked = groups_.size() - 1;
    // The furthest behind of those that do not wait.
    std::size_t chosen = blocked;
    Group& group = groups_[chosen];
    const int limit = chosen + 1 < groups_.size() ? groups_[chosen + 1].at
                                                  : static_cast<int>(program_->code.size());
    for (;;) {
      const Instruction& i = program_->code[static_cast<std::size_t>(group.at)];
      Mask mask = group.lanes;
      if (i.guarded) {
        Mask guard;
        std::memcpy(&guard, frame_.data() + i.guard, sizeof guard);
        mask &= i.negated ? ~guard : guard;
      }
      const auto count = [&] {  // once, however often a group that waits comes back to it
        Counts& counts = block_->counts();
        ++counts.instructions[static_cast<std::size_t>(i.pipe)];
        counts.lanes += static_cast<unsigned>(std::popcount(mask));
      };
      try {
        if (i.kind == Kind::barrier && mask != 0) {
          if (mask != live_) {
            if (mask == group.lanes && chosen + 1 < groups_.size()) {  // others may still come here
              blocked = chosen + 1;
              break;
            }
            throw Mistake("a part of the warp waits at a barrier that the others do not come to");
          }
          count();
          ++group.at;
          waits_ = true;
          return;
        }
        if (i.kind == Kind::together || i.kind == Kind::load_matrix ||
            i.kind == Kind::warp_barrier) {
          if (mask != 0) {
            const Mask named = named_by(i, mask);
            if ((named & ~mask) != 0) {
              if (chosen + 1 < groups_.size()) {
                blocked = chosen + 1;
                break;
              }
              throw Mistake("not all lanes that it names come to it");
            }
            if (i.kind == Kind::warp_barrier && named == live_) ++syncs_;
          }
        }
        count();
        if (i.kind == Kind::branch || i.kind == Kind::exit) {
          blocked = 0;
          if (i.kind == Kind::branch) {
            branch(chosen, i, mask);
          } else {
            exit(group, mask);
          }
          break;
        }
        if (mask != 0) step(i, mask);
      } catch (const Mistake& mistake) {
        throw Mistake(described(i, mistake.what()));
      }
      blocked = 0;
      if (++group.at >= limit) break;
    }
  }
}

void Warp::branch(std::size_t chosen, const Instruction& i, Mask taken) {
  Group& group = groups_[chosen];
  const Mask rest = group.lanes & ~taken;
  if (taken == 0) {
    ++group.at;
  } else if (rest == 0) {
    group.at = i.target;
  } else {
    group.lanes = rest;
    ++group.at;
    groups_.push_back({i.target, taken});
  }
}

void Warp::exit(Group& group, Mask mask) {
  live_ &= ~mask;
  for (const AsyncCopy& copy : copies_)
    if ((mask >> copy.lane & 1u) != 0) throw Mistake("a thread ends with copies under way");
  group.lanes &= ~mask;
  ++group.at;
  if (group.lanes == 0) groups_.erase(groups_.begin() + (&group - groups_.data()));
}

void Warp::step(const Instruction& i, Mask mask) {
  switch (i.kind) {
    case Kind::compute:
    case Kind::together:
      i.execute(*this, i, mask);
      break;
    case Kind::load:
      load(i, mask);
      break;
    case Kind::store:
      store(i, mask);
      break;
    case Kind::atomic:
      atomic(i, mask);
      break;
    case Kind::load_matrix:
      load_matrix(i, mask);
      break;
    case Kind::async_copy:
      async_copy(i, mask);
      break;
    case Kind::async_commit:
      for_lanes(mask, [&](int l) { ++committed_[static_cast<std::size_t>(l)]; });
      break;
    case Kind::async_wait:
      for_lanes(mask, [&](int l) { arrive(l, i.number); });
      break;
    case Kind::trap:
      throw Mistake("the kernel stops here (trap)");
    default:
      break;
  }
}

std::byte* Warp::own(int lane, std::uint64_t at, int bytes) const {
  const std::uint64_t begin = word({Fixed::local, 8, nullptr}, lane);
  if (at < begin || at + static_cast<unsigned>(bytes) > begin + program_->local_bytes)
    throw Mistake("accesses what lies outside the thread's own memory");
  return reinterpret_cast<std::byte*>(at);
}

void Warp::load(const Instruction& i, Mask mask) {
  const int bytes = i.element * i.vector;
  Addresses addresses;
  for_lanes(mask, [&](int l) {
    const std::uint64_t at = address(i, l);
    std::byte* from = nullptr;
    if (i.space == Space::param) {
      from = block_->parameter(at, bytes);
    } else if (i.space == Space::local) {
      from = own(l, at, bytes);
    } else {
      from = block_->memory(*this, l, i.space, at, bytes,
                            i.relaxed ? Accesses::How::atomic : Accesses::How::read);
    }
    addresses.add(at);
    for (int v = 0; v < i.vector; ++v) {
      std::uint64_t value = 0;
      std::memcpy(&value, from + v * i.element, i.element);
      set_word(i.to[static_cast<std::size_t>(v)], l,
               i.by_signed ? extended(value, i.element) : value);
    }
  });
  addresses.count(*block_, i.space, bytes, false);
}

void Warp::store(const Instruction& i, Mask mask) {
  const int bytes = i.element * i.vector;
  Addresses addresses;
  for_lanes(mask, [&](int l) {
    const std::uint64_t at = address(i, l);
    std::byte* to = nullptr;
    if (i.space == Space::local) {
      to = own(l, at, bytes);
    } else if (i.space == Space::param || i.space == Space::constant) {
      throw Mistake("writes to memory that is read only");
    } else {
      to = block_->memory(*this, l, i.space, at, bytes,
                          i.relaxed ? Accesses::How::atomic : Accesses::How::write);
    }
    addresses.add(at);
    for (int v = 0; v < i.vector; ++v) {
      const std::uint64_t value = word(i.from[static_cast<std::size_t>(v)], l);
      std::memcpy(to + v * i.element, &value, i.element);
    }
  });
  addresses.count(*block_, i.space, bytes, true);
}

void Warp::atomic(const Instruction& i, Mask mask) {
  for_lanes(mask, [&](int l) {
    std::byte* at =
        block_->memory(*this, l, i.space, address(i, l), i.element, Accesses::How::atomic);
    std::uint64_t before = 0;
    std::memcpy(&before, at, i.element);
    const std::uint64_t a = word(i.from[0], l);
    const auto less = [&](std::uint64_t x, std::uint64_t y) {
      return i.by_signed ? static_cast<std::int64_t>(extended(x, i.element)) <
                               static_cast<std::int64_t>(extended(y, i.element))
                         : x < y;
    };
    std::uint64_t after = 0;
    switch (i.number) {
      case 0:
        after = before + a;
        break;
      case 1:
        after = less(a, before) ? a : before;
        break;
      case 2:
        after = less(before, a) ? a : before;
        break;
      case 3:
        after = before & a;
        break;
      case 4:
        after = before | a;
        break;
      case 5:
        after = before ^ a;
        break;
      case 6:
        after = a;
        break;
      default:
        after = before == a ? word(i.from[1], l) : before;
    }
    std::memcpy(at, &after, i.element);
    if (i.outputs == 1) set_word(i.to[0], l, before);
    ++block_->counts().atomics;
  });
}

void Warp::load_matrix(const Instruction& i, Mask) {
  if (live_ != all_lanes) throw Mistake("ldmatrix without some of the warp's lanes");
  for (int m = 0; m < i.vector; ++m) {
    std::array<std::byte*, 8> rows;
    Addresses addresses;
    for (int row = 0; row < 8; ++row) {
      const int lane = 8 * m + row;  // that says where the row begins
      addresses.add(address(i, lane));
      rows[static_cast<std::size_t>(row)] =
          block_->memory(*this, lane, Space::shared, address(i, lane), 16, Accesses::How::read);
    }
    block_->count_shared(addresses, 16);
    for (int lane = 0; lane < lanes; ++lane) {
      std::uint32_t both = 0;
      for (int e = 0; e < 2; ++e) {
        const int row = i.transposed ? lane % 4 * 2 + e : lane / 4;
        const int column = i.transposed ? lane / 4 : lane % 4 * 2 + e;
        std::uint16_t half = 0;
        std::memcpy(&half, rows[static_cast<std::size_t>(row)] + 2 * column, 2);
        both |= std::uint32_t{half} << (16 * e);
      }
      set_word(i.to[static_cast<std::size_t>(m)], lane, both);
    }
  }
}

void Warp::async_copy(const Instruction& i, Mask mask) {
  Addresses to, from;
  for_lanes(mask, [&](int l) {
    const std::uint64_t source =
        word(i.from[0], l) + static_cast<std::uint64_t>(std::int64_t{i.number});
    const AsyncCopy copy{l,
                         committed_[static_cast<std::size_t>(l)],
                         static_cast<std::uint32_t>(address(i, l)),
                         source,
                         i.element,
                         static_cast<int>(word(i.from[1], l))};
    if (copy.read > copy.bytes) throw Mistake("copies more bytes than there is room for");
    block_->begin(*this, copy);
    copies_.push_back(copy);
    to.add(copy.to);
    if (copy.read > 0) from.add(copy.from);
  });
  block_->count_shared(to, i.element);
  if (from.n > 0) block_->count_global(from, i.element, false);
}

/// All but the last `pending` groups of a lane's copies arrive.
void Warp::arrive(int lane, int pending) {
  const int before = committed_[static_cast<std::size_t>(lane)] - pending;
  std::erase_if(copies_, [&](const AsyncCopy& copy) {
    if (copy.lane != lane || copy.group >= before) return false;
    block_->arrive(*this, copy);
    return true;
  });
}

}  // namespace cohort::ptx
