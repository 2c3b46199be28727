// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/rounds_test.cpp: cut into rounds, every collective still does what its name says.
#include <cohort/comm/rounds.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <memory>
#include <vector>

using namespace cohort;
using namespace cohort::detail;

namespace {

struct NotRounds {
  std::uint32_t count() const { return 1; }
};
static_assert(Rounds<AllReduceRounds<double>> && !Rounds<NotRounds> && !Rounds<int>);

/// A wire in memory: all ranks in turn, two rounds under way, as a transport would.
struct Wire {
  std::size_t capacity;
  std::vector<std::size_t> sent;  // bytes by rank
  std::uint32_t rounds = 0;
  bool agreed = true;  // who sends is expected, and the other way round
  bool met = true;     // everybody heard everybody in round 0
  bool fits = true;

  template <class R> void run(std::vector<R>& ranks) {
    const int n = static_cast<int>(ranks.size());
    sent.assign(ranks.size(), 0);
    rounds = ranks[0].count();
    using Slot = std::unique_ptr<std::byte[]>;
    std::map<std::pair<int, int>, Slot> messages[2];
    const auto post = [&](std::uint32_t i) {
      auto& bank = messages[i % 2];
      bank.clear();
      for (int from = 0; from < n; ++from) {
        for (int to = 0; to < n; ++to) {
          if (from == to) continue;
          R& sender = ranks[static_cast<std::size_t>(from)];
          const bool sends = sender.sends(i, to);
          agreed = agreed && sends == ranks[static_cast<std::size_t>(to)].expects(i, from);
          met = met && (i > 0 || sends);
          if (!sends) continue;
          Slot slot(new std::byte[capacity + 64]);
          const std::size_t bytes = sender.give(i, to, slot.get());
          fits = fits && bytes <= capacity;
          sent[static_cast<std::size_t>(from)] += bytes;
          bank[{from, to}] = std::move(slot);
        }
      }
    };
    for (std::uint32_t i = 0; i < rounds && i < 2; ++i) post(i);
    for (std::uint32_t i = 0; i < rounds; ++i) {
      for (int r = 0; r < n; ++r) {
        ranks[static_cast<std::size_t>(r)].take(i, [&](int from) -> const std::byte* {
          const auto found = messages[i % 2].find({from, r});
          return found == messages[i % 2].end() ? nullptr : found->second.get();
        });
      }
      if (i + 2 < rounds) post(i + 2);
    }
  }
  bool sound() const { return agreed && met && fits; }
};

template <class T> std::vector<T> values(int rank, std::size_t count) {
  std::vector<T> all(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double value = std::ldexp(static_cast<double>((i * 7919 + 31) % 1000) - 500,
                                    (rank * 5 + static_cast<int>(i)) % 20);
    if constexpr (std::is_integral_v<T>)
      all[i] = static_cast<T>(static_cast<std::int64_t>(value));  // wraps where T is a byte
    else
      all[i] = static_cast<T>(value);
  }
  return all;
}
template <class T> std::vector<std::vector<T>> all_values(int ranks, std::size_t count) {
  std::vector<std::vector<T>> all;
  for (int r = 0; r < ranks; ++r) all.push_back(values<T>(r, count));
  return all;
}
/// The definition of a sum over ranks: stride doubling, in place, element by element.
template <class T> std::vector<T> sum_of(std::vector<std::vector<T>> a) {
  for (std::size_t s = 1; s < a.size(); s *= 2) {
    for (std::size_t r = 0; r + s < a.size(); r += 2 * s) {
      for (std::size_t i = 0; i < a[0].size(); ++i) a[r][i] += a[r + s][i];
    }
  }
  return a[0];
}

constexpr int worlds[] = {2, 3, 4, 5, 8};
constexpr std::size_t counts[] = {0, 1, 63, 1000, 2049, 5000, 20011};
constexpr std::size_t capacities[] = {256, 4096, 32768};

template <class F> void for_all(F f) {
  for (int ranks : worlds) {
    for (std::size_t count : counts) {
      for (std::size_t capacity : capacities) {
        CAPTURE(ranks);
        CAPTURE(count);
        CAPTURE(capacity);
        f(ranks, count, capacity);
      }
    }
  }
}

TEST_CASE_TEMPLATE("all_reduce: the stride-doubling sum everywhere, 2 (N - 1) / N of it sent", T,
                   float, double, std::int64_t) {
  for_all([](int ranks, std::size_t count, std::size_t capacity) {
    auto data = all_values<T>(ranks, count);
    const auto expected = sum_of(data);
    std::vector<AllReduceRounds<T>> parts;
    for (int r = 0; r < ranks; ++r) {
      parts.emplace_back(Seating{r, ranks, capacity}, data[static_cast<std::size_t>(r)].data(),
                         count);
    }
    Wire wire{capacity, {}};
    wire.run(parts);
    CHECK(wire.sound());
    for (const auto& mine : data) CHECK(mine == expected);
    // A rank's shares are equal but for one line of 64 bytes a block, or all goes to all.
    const auto n = static_cast<std::size_t>(ranks);
    const std::size_t most = 2 * (n - 1) * (count * sizeof(T) / n + 64 * wire.rounds) + 8192;
    for (std::size_t bytes : wire.sent) CHECK(bytes <= most);
  });
}

TEST_CASE("reduce_scatter: rank r holds the r-th part of the sum; inputs are as they were") {
  for_all([](int ranks, std::size_t count, std::size_t capacity) {
    auto data = all_values<float>(ranks, count * static_cast<std::size_t>(ranks));
    const auto before = data;
    const auto expected = sum_of(data);
    std::vector<std::vector<float>> out(data.size(), std::vector<float>(count, -1));
    std::vector<ReduceScatterRounds<float>> parts;
    for (std::size_t r = 0; r < data.size(); ++r) {
      parts.emplace_back(Seating{static_cast<int>(r), ranks, capacity}, data[r].data(),
                         out[r].data(), count);
    }
    Wire wire{capacity, {}};
    wire.run(parts);
    CHECK(wire.sound());
    CHECK(data == before);
    for (std::size_t r = 0; r < data.size(); ++r) {
      const auto part = expected.begin() + static_cast<std::ptrdiff_t>(r * count);
      CHECK(std::equal(out[r].begin(), out[r].end(), part));
    }
  });
}

TEST_CASE("all_gather: all parts in rank order, from apart and in place") {
  for_all([](int ranks, std::size_t count, std::size_t capacity) {
    const auto data = all_values<std::int32_t>(ranks, count);
    std::vector<std::int32_t> expected;
    for (const auto& part : data) expected.insert(expected.end(), part.begin(), part.end());
    for (bool in_place : {false, true}) {
      std::vector<std::vector<std::int32_t>> out(data.size(),
                                                 std::vector<std::int32_t>(expected.size()));
      std::vector<GatherRounds> parts;
      for (std::size_t r = 0; r < data.size(); ++r) {
        std::int32_t* own = out[r].data() + r * count;
        if (in_place) std::copy(data[r].begin(), data[r].end(), own);
        parts.emplace_back(Seating{static_cast<int>(r), ranks, capacity},
                           in_place ? own : data[r].data(), out[r].data(),
                           count * sizeof(std::int32_t));
      }
      Wire wire{capacity, {}};
      wire.run(parts);
      CHECK(wire.sound());
      for (const auto& mine : out) CHECK(mine == expected);
    }
  });
}

TEST_CASE("broadcast: everybody holds the root's array; nobody sends more than two of it") {
  for_all([](int ranks, std::size_t bytes, std::size_t capacity) {
    for (int root = 0; root < ranks; ++root) {
      auto data = all_values<std::uint8_t>(ranks, bytes);
      const auto expected = data[static_cast<std::size_t>(root)];
      std::vector<BroadcastRounds> parts;
      for (int r = 0; r < ranks; ++r) {
        parts.emplace_back(Seating{r, ranks, capacity}, data[static_cast<std::size_t>(r)].data(),
                           bytes, root);
      }
      Wire wire{capacity, {}};
      wire.run(parts);
      CHECK(wire.sound());
      for (const auto& mine : data) CHECK(mine == expected);
      const std::size_t direct = bytes * static_cast<std::size_t>(ranks - 1);  // short ones
      for (std::size_t sent : wire.sent)
        CHECK((sent <= 2 * bytes || (bytes <= 16384 && sent <= direct)));
    }
  });
}

TEST_CASE("a barrier: one round of nothing") {
  std::vector<GatherRounds> parts;
  for (int r = 0; r < 3; ++r) parts.emplace_back(Seating{r, 3, 256}, nullptr, nullptr, 0);
  Wire wire{256, {}};
  wire.run(parts);
  CHECK(wire.sound());
  CHECK(wire.rounds == 1);
  CHECK(wire.sent == std::vector<std::size_t>{0, 0, 0});
}

TEST_CASE("piece: pieces tile the whole") {
  static_assert(pieces(0, 8) == 1 && pieces(8, 8) == 1 && pieces(9, 8) == 2);
  for (std::size_t all : {0, 1, 7, 8, 9, 100}) {
    std::size_t next = 0;
    for (std::uint32_t i = 0; i < pieces(all, 8); ++i) {
      CHECK(piece(all, 8, i).first == next);
      next = piece(all, 8, i).end();
    }
    CHECK(next == all);
    CHECK(piece(all, 8, 1000).count == 0);
  }
}

}  // namespace
