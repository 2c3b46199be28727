// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/name_index_test.cpp: names are found and doubles seen, whatever the key and the hashes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cohort/core/rng.hpp>
#include <cohort/io/name_index.hpp>
#include <string>
#include <vector>

using cohort::io::NameIndex;
using cohort::io::detail::SipHash;
using cohort::io::detail::sort_random;

TEST_CASE("SipHash-1-3: the values of an independent implementation") {
  // hash() of bytes in CPython 3.11, which is this function: PYTHONHASHSEED=0 is the key 0, 0; the key
  // of PYTHONHASHSEED=42 was computed by the generator that CPython documents in bootstrap_hash.c.
  std::string longer;
  for (char c = 1; c < 64; ++c) longer += c;
  const std::string texts[] = {"a", "abcdefg", "abcdefgh", "abcdefghi", longer};
  const std::uint64_t zero[] = {0x407448d2b89b1813, 0x6db12aae9070f506, 0x3f7b849c0b8e35ea,
                                0xf89b34a3d11eb6e5, 0x6bafe9f92616651b};
  const std::uint64_t other[] = {0xfe4a47335692551e, 0x13162120b6bf06ed, 0xb441be6d79f21056,
                                 0xad255ab35982cc7f, 0x048287785366e54f};
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(SipHash(0, 0)(texts[i]) == zero[i]);
    CHECK(SipHash(0xdc504fd368cd90af, 0xb920bb9ffe99e9c1)(texts[i]) == other[i]);
  }
}

TEST_CASE("sort_random: sorts, few or many, random or not") {
  for (const std::size_t n : {0, 1, 2, 4095, 4096, 100000}) {
    for (const int kind : {0, 1, 2}) {
      std::vector<std::uint64_t> numbers(n);
      for (std::size_t i = 0; i < n; ++i)
        numbers[i] = kind == 0   ? cohort::random_bits(7, 0, i)
                     : kind == 1 ? n - i
                                 : cohort::random_bits(7, 0, i) % 5 << 62;
      std::vector<std::uint64_t> expected = numbers;
      std::sort(expected.begin(), expected.end());
      sort_random(numbers);
      REQUIRE(numbers == expected);
    }
  }
}

TEST_CASE("NameIndex: finds each name and no other, whatever the key") {
  std::vector<std::string> names;
  for (int i = 0; i < 20000; ++i) names.push_back("layer." + std::to_string(i));
  for (const std::uint64_t key : {0, 1, 2}) {
    NameIndex index(key, ~key);
    for (std::size_t i = 0; i < names.size(); ++i)
      index.add(index.hash(names[i]), static_cast<std::uint32_t>(i));
    CHECK(index.size() == names.size());
    CHECK(!index.sort_and_find_twice([&](auto a, auto b) { return names[a] == names[b]; }));
    const auto find = [&](const std::string& wanted) {
      return index.find(index.hash(wanted), [&](auto i) { return names[i] == wanted; });
    };
    for (std::size_t i = 0; i < names.size(); ++i) REQUIRE(find(names[i]) == i);
    CHECK(!find("layer.20000"));
    CHECK(!find(""));
  }
  const NameIndex empty;
  CHECK(!empty.find(empty.hash("a"), [](auto) { return true; }));
}

TEST_CASE("NameIndex: a name that was added twice is named with both its numbers") {
  for (const std::uint32_t n : {2u, 100u, 50000u}) {
    NameIndex index;
    const auto name = [&](std::uint32_t i) { return "n" + std::to_string(i == n - 1 ? n / 3 : i); };
    for (std::uint32_t i = 0; i < n; ++i) index.add(index.hash(name(i)), i);
    const auto twice =
        index.sort_and_find_twice([&](auto a, auto b) { return name(a) == name(b); });
    REQUIRE(twice.has_value());
    CHECK(*twice == std::pair(n / 3, n - 1));
  }
}

TEST_CASE("NameIndex: equal hashes of different names are told apart") {
  NameIndex index;
  const std::vector<std::string> names{"a", "b", "c", "b"};
  for (std::uint32_t i = 0; i < 4; ++i) index.add(7, i);
  const auto same = [&](auto a, auto b) { return names[a] == names[b]; };
  CHECK(index.sort_and_find_twice(same) == std::pair(1u, 3u));
  CHECK(index.find(7, [&](auto i) { return names[i] == "c"; }) == 2u);
  CHECK(!index.find(7, [&](auto i) { return names[i] == "d"; }));
  CHECK(!index.find(8, [&](auto) { return true; }));
}

TEST_CASE("NameIndex: nobody knows the key, which is one in a process") {
  // Equal hashes of all of 8 names under another key: one chance in 2^256.
  const NameIndex a, b, known(0, 0);
  bool differ = false;
  for (const char* text : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
    CHECK(a.hash(text) == b.hash(text));
    differ |= a.hash(text) != known.hash(text);
  }
  CHECK(differ);
}
