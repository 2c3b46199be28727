// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/cohort/device/cuda/launch.hpp: stands in for the header of this name: kernels run on the CPU.
#pragma once
#include <atomic>
#include <bit>
#include <cohort/core/host_device.hpp>
#include <cohort/device/cuda/device.hpp>
#include <cohort/device/cuda/error.hpp>
#include <source_location>
#include <support/cuda_double/team.hpp>
#include <type_traits>
#include <typeinfo>

namespace cohort::cuda {

inline constexpr int warp_size = 32;

/// The members of the real Block. Collectives also note where they were called: all threads (lanes) must
/// come to the same call.
class Block {
  using Place = std::source_location;
  using Team = cuda_double::Team;

 public:
  Block(Team& team, int thread, int index) : team_(&team), thread_(thread), index_(index) {}

  int thread() const { return thread_; }
  int threads() const { return team_->threads(); }
  int index() const { return index_; }
  int count() const { return team_->blocks(); }
  int lane() const { return thread_ % warp_size; }
  int warp() const { return thread_ / warp_size; }
  void sync(Place place = Place::current()) const { team_->meet(place); }
  void sync_warp(Place place = Place::current()) const {
    team_->meet_warp(thread_, Team::What::sync_warp, 0, place);
  }
  template <class T> T shuffle(T value, int lane, Place place = Place::current()) const {
    return exchange(Team::What::shuffle, value, lane, place);
  }
  template <class T> T shuffle_xor(T value, int mask, Place place = Place::current()) const {
    return exchange(Team::What::shuffle_xor, value, lane() ^ mask, place);
  }
  unsigned ballot(bool value, Place place = Place::current()) const {
    const auto& words = team_->meet_warp(thread_, Team::What::ballot, value ? 1u : 0u, place);
    unsigned votes = 0;
    for (unsigned i = 0; i < warp_size; ++i) votes |= static_cast<unsigned>(words[i]) << i;
    return votes;
  }
  unsigned long long atomic_add(unsigned long long* to, unsigned long long value) const {
    return std::atomic_ref(*to).fetch_add(value, std::memory_order_acq_rel);
  }
  unsigned atomic_add(unsigned* to, unsigned value) const {
    return std::atomic_ref(*to).fetch_add(value, std::memory_order_acq_rel);
  }
  unsigned atomic_exchange_if(unsigned* at, unsigned expected, unsigned value) const {
    std::atomic_ref(*at).compare_exchange_strong(expected, value, std::memory_order_acq_rel);
    return expected;
  }
  void fence() const {}  // the atomics order memory here

 private:
  template <class T> T exchange(Team::What what, T value, int lane, Place place) const {
    static_assert((sizeof(T) == 4 || sizeof(T) == 8) && std::is_arithmetic_v<T>);
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    if (lane < 0 || lane >= warp_size) team_->refuse("a shuffle asks for a lane beyond the warp");
    const auto& words = team_->meet_warp(thread_, what, std::bit_cast<Bits>(value), place);
    return std::bit_cast<T>(static_cast<Bits>(words[static_cast<std::size_t>(lane)]));
  }
  Team* team_;
  int thread_, index_;
};

/// As the header of this name, on the double's streams. Shared memory holds 0xFF bytes before each block.
template <class K>
void launch(const Cuda& device, int blocks, const K& kernel,
            std::source_location place = std::source_location::current()) {
  static_assert(K::threads % warp_size == 0 && K::threads > 0 && K::threads <= 1024);
  static_assert(std::is_trivially_copyable_v<K> && sizeof(K) <= 32764);
  static_assert(std::is_trivially_default_constructible_v<typename K::Shared>);
  static_assert(sizeof(typename K::Shared) <= 227 * 1024);
  check_blocks(blocks, place);
  if (blocks == 0) return;
  static constexpr std::size_t shared =
      std::is_empty_v<typename K::Shared> ? 0 : sizeof(typename K::Shared);
  static const cuda_double::KernelType type{
      typeid(K).name(),
      K::threads,
      shared,
      sizeof(K),
      alignof(K),
      [](const void* functor, cuda_double::Team& team, int thread, int block, void* memory) {
        (*static_cast<const K*>(functor))(Block(team, thread, block),
                                          *static_cast<typename K::Shared*>(memory));
      }};
  check(cuda_double::launch(device.stream, blocks, type, &kernel), place);
}

}  // namespace cohort::cuda
