// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/patience.hpp: how a thread looks again and again without holding others' core.
#pragma once
#include <cohort/comm/bell.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>

namespace cohort::detail {

/// How a rank waits for others without holding their core: spins where there is a core for every
/// thread, else yields; after about a millisecond it sleeps between looks. `yields` says how often it
/// yields: a core that is full of other programs comes back sooner to who sleeps than to who yields.
class Patience {
 public:
  explicit Patience(bool spins, std::uint32_t yields = 5000)
      : spins_(spins), yields_(spins && yields < spinning ? spinning : yields) {}
  void wait() {
    ++looks_;
    if (spins_ && looks_ < spinning) return pause();
    if (looks_ < yields_) return std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(looks_ < yields_ + 1000 ? 50 : 500));
  }
  /// Every so often it is time for a look at the clock and the mail.
  bool looks_up() const { return looks_ % 16 == 15 || looks_ >= std::min(spinning, yields_); }

 private:
  static constexpr std::uint32_t spinning = 4000;
  bool spins_;
  std::uint32_t yields_;
  std::uint32_t looks_ = 0;
};

}  // namespace cohort::detail
