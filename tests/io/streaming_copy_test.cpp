// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/streaming_copy_test.cpp: a copy past the caches copies these bytes and no others.
#include <cohort/io/streaming_copy.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

using cohort::io::streaming_copy;

namespace {
std::vector<std::byte> counted(std::size_t n, int first) {
  std::vector<std::byte> out(n);
  for (std::size_t i = 0; i < n; ++i)
    out[i] = static_cast<std::byte>(static_cast<std::size_t>(first) + i * 131 + (i >> 8));
  return out;
}
}  // namespace

TEST_CASE("streaming_copy: every length, from and to every alignment, and nothing around it") {
  const std::vector<std::byte> from = counted(600, 3), before = counted(600, 100);
  for (std::size_t to_shift = 0; to_shift < 65; to_shift += 3)
    for (std::size_t from_shift = 0; from_shift < 65; from_shift += 5)
      for (std::size_t n = 0; n < 330; n += n < 140 ? 1 : 17) {
        std::vector<std::byte> to = before, expected = before;
        streaming_copy(to.data() + to_shift, from.data() + from_shift, n);
        std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(from_shift), n,
                    expected.begin() + static_cast<std::ptrdiff_t>(to_shift));
        REQUIRE(to == expected);
      }
}

TEST_CASE("streaming_copy: another thread that is told so sees the bytes") {
  const std::vector<std::byte> from = counted(1 << 20, 9);
  std::vector<std::byte> to(from.size());
  for (int round = 0; round < 20; ++round) {
    std::ranges::fill(to, std::byte{0});
    std::atomic<bool> copied{false};
    bool same = false;
    std::jthread reader([&] {
      copied.wait(false, std::memory_order_acquire);
      same = to == from;
    });
    streaming_copy(to.data(), from.data(), from.size());
    copied.store(true, std::memory_order_release);
    copied.notify_all();
    reader.join();
    CHECK(same);
  }
}
