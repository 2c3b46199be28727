// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/rounds.hpp: how a collective is cut into rounds of messages of bounded size.
#pragma once
#include <cohort/comm/sum.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace cohort::detail {

/// One rank's part in one collective, for a transport that exchanges messages of at most `capacity`
/// bytes between pairs of ranks, round by round.
///
/// In round i the transport sends what give(i, peer, slot) wrote to every peer with sends(i, peer),
/// the same message to all where same_to_all(i), waits for all peers with expects(i, peer), and
/// calls take(i, at), at(peer) being a peer's message. Two rounds may be under way at once: give(i)
/// comes after take(i - 2). In round 0 everybody sends to everybody, be it nothing: so every rank
/// has seen everybody's call before it writes anything.
template <class R>
concept Rounds = requires(R& r, std::uint32_t i, int peer, std::byte* slot,
                          const std::byte* (*at)(int)) {
  { r.count() } -> std::same_as<std::uint32_t>;
  { r.sends(i, peer) } -> std::same_as<bool>;
  { r.expects(i, peer) } -> std::same_as<bool>;
  { r.same_to_all(i) } -> std::same_as<bool>;
  { r.give(i, peer, slot) } -> std::same_as<std::size_t>;
  r.take(i, at);
};

/// Where a transport puts a rank: the numbers that all rounds depend on.
struct Seating {
  int rank;
  int ranks;
  std::size_t capacity;  // bytes of a message, a multiple of 64
};

struct Span {
  std::size_t first;
  std::size_t count;
  constexpr std::size_t end() const { return first + count; }
};

/// The i-th piece of at most `most` of `all`; empty beyond the end.
constexpr Span piece(std::size_t all, std::size_t most, std::size_t i) {
  const std::size_t first = std::min(all, most * i);
  return {first, std::min(most, all - first)};
}
constexpr std::uint32_t pieces(std::size_t all, std::size_t most) {
  return all == 0 ? 1 : static_cast<std::uint32_t>((all + most - 1) / most);
}

inline void copy_bytes(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0 && to != from) std::memcpy(to, from, bytes);
}

/// Everybody's bytes to everybody, in rank order. With no bytes: a barrier.
class GatherRounds {
 public:
  GatherRounds(Seating seating, const void* in, void* out, std::size_t bytes)
      : at_(seating),
        in_(static_cast<const std::byte*>(in)),
        out_(static_cast<std::byte*>(out)),
        bytes_(bytes) {}

  std::uint32_t count() const { return pieces(bytes_, at_.capacity); }
  bool sends(std::uint32_t, int) const { return true; }
  bool expects(std::uint32_t, int) const { return true; }
  bool same_to_all(std::uint32_t) const { return true; }
  std::size_t give(std::uint32_t i, int, std::byte* slot) const {
    const Span part = piece(bytes_, at_.capacity, i);
    copy_bytes(slot, in_ + part.first, part.count);
    return part.count;
  }
  template <class At> void take(std::uint32_t i, const At& at) {
    const Span part = piece(bytes_, at_.capacity, i);
    if (part.count == 0) return;
    for (int r = 0; r < at_.ranks; ++r) {
      std::byte* to = out_ + static_cast<std::size_t>(r) * bytes_ + part.first;
      copy_bytes(to, r == at_.rank ? in_ + part.first : at(r), part.count);
    }
  }

 private:
  Seating at_;
  const std::byte* in_;
  std::byte* out_;
  std::size_t bytes_;
};

/// Rank r's part of everybody's array to rank r, which adds them up.
template <Summable T> class ReduceScatterRounds {
 public:
  ReduceScatterRounds(Seating seating, const T* in, T* out, std::size_t per_rank)
      : at_(seating), in_(in), out_(out), per_rank_(per_rank) {}

  std::uint32_t count() const { return pieces(per_rank_, most()); }
  bool sends(std::uint32_t, int) const { return true; }
  bool expects(std::uint32_t, int) const { return true; }
  bool same_to_all(std::uint32_t) const { return false; }
  std::size_t give(std::uint32_t i, int peer, std::byte* slot) const {
    const Span part = piece(per_rank_, most(), i);
    copy_bytes(slot, of(peer) + part.first, part.count * sizeof(T));
    return part.count * sizeof(T);
  }
  template <class At> void take(std::uint32_t i, const At& at) {
    const Span part = piece(per_rank_, most(), i);
    const auto from = [&](int r) {
      return r == at_.rank ? of(r) + part.first : reinterpret_cast<const T*>(at(r));
    };
    sum_into(from, at_.ranks, part.count, out_ + part.first);
  }

 private:
  std::size_t most() const { return at_.capacity / sizeof(T); }
  const T* of(int rank) const { return in_ + static_cast<std::size_t>(rank) * per_rank_; }

  Seating at_;
  const T* in_;
  T* out_;
  std::size_t per_rank_;
};

/// An array cut into blocks of one share per rank. Rounds come in fours: the owner of each share
/// receives it for block 2q, then for block 2q + 1, then owners send what became of them to all.
/// So one block's shares travel while another's are added up.
class Shares {
 public:
  /// A share is a multiple of `line` elements, at most `most`. Two blocks at least where messages
  /// stay long: below about 16 KiB their number costs more than the overlap hides.
  Shares(int ranks, std::size_t count, std::size_t most, std::size_t line)
      : count_(count), ranks_(static_cast<std::size_t>(ranks)) {
    const std::size_t at_least = count > 2 * ranks_ * line * 256 ? 2 : 1;
    const std::size_t blocks = std::max<std::size_t>(at_least, pieces(count, ranks_ * most));
    const std::size_t even = (count + blocks * ranks_ - 1) / (blocks * ranks_);
    share_ = std::max(line, (even + line - 1) / line * line);
  }
  std::uint32_t num_rounds() const { return 4 * ((pieces(count_, ranks_ * share_) + 1) / 2); }
  static bool spreads(std::uint32_t round) { return round % 4 >= 2; }

  /// The elements that the rank owns in the block of this round.
  Span owned(std::uint32_t round, int rank) const {
    const std::size_t block = round / 4 * 2 + round % 2;
    return piece(count_, share_, block * ranks_ + static_cast<std::size_t>(rank));
  }

 private:
  std::size_t count_, ranks_, share_ = 0;
};

/// Everybody's array becomes the sum. Short arrays go to everybody and are added up everywhere.
template <Summable T> class AllReduceRounds {
 public:
  AllReduceRounds(Seating seating, T* inout, std::size_t count)
      : at_(seating),
        shares_(seating.ranks, count, seating.capacity / sizeof(T), 64 / sizeof(T)),
        inout_(inout),
        count_(count) {
    const std::size_t bytes = count * sizeof(T);
    short_ = bytes <= at_.capacity && bytes * static_cast<std::size_t>(at_.ranks - 1) <= 8192;
  }
  std::uint32_t count() const { return short_ ? 1 : shares_.num_rounds(); }
  bool sends(std::uint32_t i, int peer) const {
    return i == 0 || owned(i, Shares::spreads(i) ? at_.rank : peer).count > 0;
  }
  bool expects(std::uint32_t i, int peer) const {
    return i == 0 || owned(i, Shares::spreads(i) ? peer : at_.rank).count > 0;
  }
  bool same_to_all(std::uint32_t i) const { return short_ || Shares::spreads(i); }
  std::size_t give(std::uint32_t i, int peer, std::byte* slot) const {
    const Span part = owned(i, Shares::spreads(i) ? at_.rank : peer);
    copy_bytes(slot, inout_ + part.first, part.count * sizeof(T));
    return part.count * sizeof(T);
  }
  template <class At> void take(std::uint32_t i, const At& at) {
    if (Shares::spreads(i)) return collect(i, at);
    const Span mine = owned(i, at_.rank);
    T* own = inout_ + mine.first;
    const auto from = [&](int r) {
      return r == at_.rank ? own : reinterpret_cast<const T*>(at(r));
    };
    sum_into(from, at_.ranks, mine.count, own);
  }

 private:
  Span owned(std::uint32_t i, int rank) const {
    return short_ ? Span{0, count_} : shares_.owned(i, rank);
  }
  template <class At> void collect(std::uint32_t i, const At& at) {
    for (int r = 0; r < at_.ranks; ++r) {
      const Span part = owned(i, r);
      if (r != at_.rank) copy_bytes(inout_ + part.first, at(r), part.count * sizeof(T));
    }
  }

  Seating at_;
  Shares shares_;
  T* inout_;
  std::size_t count_;
  bool short_ = false;
};

/// The root's array to everybody: the root deals out shares, then everybody passes its own on, so
/// that no rank sends more than two arrays. Short arrays come straight from the root.
class BroadcastRounds {
 public:
  BroadcastRounds(Seating seating, void* inout, std::size_t bytes, int root)
      : at_(seating),
        shares_(seating.ranks, bytes, seating.capacity, 64),
        inout_(static_cast<std::byte*>(inout)),
        bytes_(bytes),
        root_(root),
        short_(bytes <= std::min<std::size_t>(at_.capacity, 16384)) {}

  std::uint32_t count() const { return short_ ? 1 : shares_.num_rounds(); }
  bool sends(std::uint32_t i, int peer) const { return i == 0 || moves(i, at_.rank, peer); }
  bool expects(std::uint32_t i, int peer) const { return i == 0 || moves(i, peer, at_.rank); }
  bool same_to_all(std::uint32_t i) const { return short_ || Shares::spreads(i); }
  std::size_t give(std::uint32_t i, int peer, std::byte* slot) const {
    if (!moves(i, at_.rank, peer)) return 0;
    const Span part = message(i, at_.rank, peer);
    copy_bytes(slot, inout_ + part.first, part.count);
    return part.count;
  }
  template <class At> void take(std::uint32_t i, const At& at) {
    for (int r = 0; r < at_.ranks; ++r) {
      if (r == at_.rank || !moves(i, r, at_.rank)) continue;
      const Span part = message(i, r, at_.rank);
      copy_bytes(inout_ + part.first, at(r), part.count);
    }
  }

 private:
  Span message(std::uint32_t i, int from, int to) const {
    return short_ ? Span{0, bytes_} : shares_.owned(i, Shares::spreads(i) ? from : to);
  }
  /// Do bytes go from one rank to the other in this round?
  bool moves(std::uint32_t i, int from, int to) const {
    const bool deals = short_ || !Shares::spreads(i);
    return (deals ? from == root_ : to != root_) && message(i, from, to).count > 0;
  }

  Seating at_;
  Shares shares_;
  std::byte* inout_;
  std::size_t bytes_;
  int root_;
  bool short_;
};

static_assert(Rounds<GatherRounds> && Rounds<BroadcastRounds>);
static_assert(Rounds<ReduceScatterRounds<float>> && Rounds<AllReduceRounds<float>>);

}  // namespace cohort::detail
