// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/mpi_message.hpp: what ranks write to each other beside the data of collectives.
#pragma once
#include <cohort/comm/collective.hpp>
#include <cohort/core/error.hpp>

#include <array>
#include <cstdint>
#include <string>

namespace cohort::detail {

/// What stands in front of every message: the call that it belongs to.
struct alignas(64) Envelope {
  static constexpr std::uint32_t protocol = 0x636f6831;  // "coh1"
  std::uint32_t magic = protocol;
  std::uint32_t number = 0;
  std::uint64_t count = 0;
  std::uint32_t round = 0;
  std::int32_t root = 0;
  CollectiveKind kind{};
  DType dtype{};

  Collective call() const { return {kind, dtype, count, root}; }
};

/// What a rank tells every other one beside all collectives.
struct Notice {
  static constexpr std::int32_t left = -1;  // else a Cause
  std::int32_t what = left;
  std::int32_t rank = 0;
  std::int32_t speaker = 0;  // who reports the failure to the user
  std::array<char, 2036> sentence{};
};

/// Do two ranks tell the same, but for their own names?
inline bool same_words(const Notice& a, const Notice& b) {
  const auto words = [](const Notice& notice) {
    const std::string name = phrase("rank ", notice.rank);
    std::string text = notice.sentence.data();
    for (auto at = text.find(name); at != text.npos; at = text.find(name))
      text.erase(at, name.size());
    return text;
  };
  return words(a) == words(b);
}

}  // namespace cohort::detail
