// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/xxh64_test.cpp: the checksum is the reference implementation's, however the bytes are cut.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cohort/core/rng.hpp>
#include <cohort/io/xxh64.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

using cohort::io::xxh64;
using cohort::io::Xxh64;

namespace {
struct Known {
  std::size_t length;
  std::uint64_t plain, seeded;
};
constexpr std::uint64_t seed = 0x9E3779B97F4A7C15;

// Made with the Python package xxhash 4.1.0 (xxHash 0.8.4): xxh64_intdigest(some_bytes(length), seed).
constexpr Known known[] = {{0, 0xef46db3751d8e999, 0xc4349fc93c010000},
                           {1, 0xf70759d1b211a558, 0xb87ad646c173d98a},
                           {2, 0xcb0d76c87db033d1, 0x26c3c3ad3eb825c1},
                           {3, 0x7cf2378d116504d1, 0x321d64963283d86c},
                           {4, 0xe06ce47f9d9ba65e, 0xe922c9216ca9dde8},
                           {5, 0x0e6bac810125ce61, 0xafdf3aee03b95614},
                           {6, 0x3c9ad23c8e3f464e, 0x46f4e1ffe41bf3e7},
                           {7, 0xed5f06c3cbcdfeff, 0x0eb5ab6e8e0c7aa1},
                           {8, 0x403f8a4d45c95452, 0xe37309a6749388aa},
                           {9, 0xb84763eb12e9db5e, 0xa1c6154facee1839},
                           {10, 0x95bf084b69514ef5, 0x3e9e2e27b445b5c7},
                           {11, 0x67011f724a1fe47a, 0xfce79b1ce081b344},
                           {12, 0x9a0ad854ac64f964, 0x5ca623d20fde329b},
                           {13, 0x9ca868a3777d26c1, 0x4ce93690d9ceba4a},
                           {14, 0x38dc167b2c3bd289, 0xc6c94c44c566bf7b},
                           {15, 0x1f2328d9d2756a86, 0x7fa2be03bf166a2c},
                           {16, 0xc869c9cc80856d18, 0x1a21e5da3b8d9ec0},
                           {17, 0xed95b72cb5f0923e, 0x74f89ac804a5eeb8},
                           {18, 0xae3130c9dc58e760, 0xe84d72583df771d7},
                           {19, 0x8f2ee7386d0bfdc9, 0x2de14d2a26636c0c},
                           {20, 0x841d961b21123c92, 0x076b2d2648deb637},
                           {21, 0xf6862ebdfcec078e, 0xa294ec0b9224a056},
                           {22, 0x81b9963e489b2e0b, 0x303095683e24d7bd},
                           {23, 0x00fb596309f692e6, 0x871062b8d3a6e683},
                           {24, 0x235028018479d2ab, 0xcf2dbbf6ed864a7c},
                           {25, 0x94021097fe499d58, 0xcf3656457ce8664a},
                           {26, 0x89f4c14d078a2d53, 0xb9029d5066a5369c},
                           {27, 0x3618eba65e5ca0a6, 0xc7791c671b4b21f9},
                           {28, 0x1ab26f04d179a0ae, 0x9e503667316d5003},
                           {29, 0xfe6c567d66962c51, 0x7963bba61b401799},
                           {30, 0x22ec7677957b7d81, 0xed74bcfe1e34dea1},
                           {31, 0x2fb49fb3ffde836c, 0x0f0d2dc7ae31addb},
                           {32, 0xc050ad63b4cd16e7, 0x316d976f33e76fbf},
                           {33, 0xbbb23fab74c4fc74, 0x38b7c08b9de4bac2},
                           {34, 0x263dadecd8b8a914, 0xec7b8b0ca5c12723},
                           {35, 0x7cfbe81daf20bef4, 0x330b90d28654e4a8},
                           {36, 0x17d3d69eeb260461, 0x69d0685196873b3c},
                           {37, 0x17507de3bcfe6727, 0x49127e4a5001d096},
                           {38, 0xb13840d75d11b759, 0x489e6e96aac23752},
                           {39, 0x0a54323e9c08c2fc, 0x84c0b35807ad26b8},
                           {47, 0x210a075c79206658, 0xaf40992840eda959},
                           {48, 0x1b653570e24899c3, 0x1c24969e1f4d90a1},
                           {63, 0xef74c9ba90262cfa, 0xedddabf45d766160},
                           {64, 0x77af2964cb5dac73, 0x4dcea543bd6db552},
                           {65, 0x0a2de7bc87cb6569, 0xa3551db465e3f0f0},
                           {71, 0xbe7d431cbcc54376, 0xbbe5a1e788f7e2ef},
                           {95, 0x15b992ef3d9bf7e3, 0xe3223521b36f0b1c},
                           {96, 0x3cb6ff0c6a7624ac, 0xc6ed68c99324c567},
                           {97, 0x8f06bdba16ad7255, 0xef2d8d6f8c4e246a},
                           {103, 0xa173948eb0914b73, 0xe9969b9194aeb30a},
                           {127, 0x7a4ddb4898499e95, 0xe32258b35294f356},
                           {128, 0x8e5917f7ad5924d1, 0xf1942e77bbb02b11},
                           {255, 0x208d9d0b780a15b6, 0x6a8919b9c85a2dba},
                           {256, 0x007d1ff8eadd840d, 0x8aa4ef1da0105178},
                           {257, 0x637cbac506c0c418, 0x9750956a8b9ec450},
                           {4095, 0xa833e62f0d9e2df7, 0x688407b12cd37f02},
                           {4096, 0x7b8224c3c83a5cac, 0x470b43effc37fa3c},
                           {4097, 0x3b4409c17f1991dd, 0xc7d7e25c2cdb9e50},
                           {65536, 0x1df6918560b6aa5b, 0x97df7310e58dd1da},
                           {100003, 0x170216d6ca232ba2, 0xa8c9d4d656812a00}};

std::vector<std::byte> some_bytes(std::size_t length) {
  std::vector<std::byte> out(length);
  std::uint64_t x = 12345;
  for (std::byte& b : out) {
    x = x * 6364136223846793005 + 1442695040888963407;
    b = static_cast<std::byte>(x >> 56);
  }
  return out;
}
std::uint64_t of(std::string_view text, std::uint64_t with = 0) {
  return xxh64(std::as_bytes(std::span(text)), with);
}
}  // namespace

TEST_CASE("xxh64: the values that its authors publish") {
  // The self-test of the reference implementation (xxhsum 0.6): bytes from a squared 32-bit prime.
  constexpr std::uint32_t prime = 2654435761;
  std::vector<std::byte> bytes(101);
  std::uint32_t x = prime;
  for (std::byte& b : bytes) {
    b = static_cast<std::byte>(x >> 24);
    x *= x;
  }
  constexpr Known published[] = {{0, 0xEF46DB3751D8E999, 0xAC75FDA2929B17EF},
                                 {1, 0x4FCE394CC88952D8, 0x739840CB819FA723},
                                 {14, 0xCFFA8DB881BC3A3D, 0x5B9611585EFCC9CB},
                                 {101, 0x0EAB543384F878AD, 0xCAA65939306F1E21}};
  for (const Known& each : published) {
    CHECK(xxh64(std::span(bytes).first(each.length)) == each.plain);
    CHECK(xxh64(std::span(bytes).first(each.length), prime) == each.seeded);
  }
  CHECK(of("a") == 0xd24ec4f1a98c6e5b);
  CHECK(of("abc") == 0x44bc2cf5ad770999);
  CHECK(of("xxhash", 20141025) == 0xb559b98d844e0635);
  CHECK(of("Nobody inspects the spammish repetition") == 0xfbcea83c8a378bf1);
}

TEST_CASE("xxh64: the reference implementation's values at every path through the last bytes") {
  for (const Known& each : known) {
    CAPTURE(each.length);
    const std::vector<std::byte> bytes = some_bytes(each.length);
    CHECK(xxh64(bytes) == each.plain);
    CHECK(xxh64(bytes, seed) == each.seeded);
  }
}

TEST_CASE("Xxh64: how the bytes are cut into pieces does not change the value") {
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{31}, std::size_t{32},
                                   std::size_t{33}, std::size_t{100}, std::size_t{131}}) {
    const std::vector<std::byte> bytes = some_bytes(length);
    const std::span<const std::byte> all = bytes;
    for (std::size_t a = 0; a <= length; ++a)
      for (std::size_t b = a; b <= length; b += 1 + length / 40) {
        Xxh64 hash(seed);
        hash.add(all.first(a));
        hash.add(all.subspan(a, b - a));
        hash.add(all.subspan(b));
        REQUIRE(hash.value() == xxh64(all, seed));
      }
  }
  const std::vector<std::byte> bytes = some_bytes(10'000);
  for (std::uint64_t round = 0; round < 100; ++round) {
    Xxh64 hash;
    for (std::size_t at = 0, i = 0; at < bytes.size(); ++i) {
      const std::size_t n = std::min<std::size_t>(cohort::uniform_below(200, round, 0, i),  //
                                                  bytes.size() - at);
      hash.add(std::span(bytes).subspan(at, n));
      at += n;
    }
    REQUIRE(hash.value() == xxh64(bytes));
  }
}

TEST_CASE("Xxh64: a value may be asked for on the way") {
  const std::vector<std::byte> bytes = some_bytes(100);
  Xxh64 hash;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    REQUIRE(hash.value() == xxh64(std::span(bytes).first(i)));
    hash.add(std::span(bytes).subspan(i, 1));
  }
}

TEST_CASE("Xxh64: two at once are each one's value, at every length and alignment") {
  const std::vector<std::byte> bytes = some_bytes(10'000);
  const std::span<const std::byte> all = bytes;
  for (std::size_t length = 0; length < 300; ++length)
    for (const std::size_t shift : {0, 1, 7, 63}) {
      const auto a = all.subspan(shift, length), b = all.subspan(5000 - shift, length);
      REQUIRE(Xxh64::of_two(a, b) == std::array{xxh64(a), xxh64(b)});
    }
  for (const Known& each : known) {
    if (each.length > 5000) continue;
    const auto bytes_of = some_bytes(each.length);
    CHECK(Xxh64::of_two(bytes_of, bytes_of) == std::array{each.plain, each.plain});
  }
}

TEST_CASE("xxh64_blocks: one value a block, of the last one too") {
  const std::vector<std::byte> bytes = some_bytes(1000);
  for (const std::size_t block : {32, 40, 100})
    for (std::size_t length = 0; length < 8 * block; ++length) {
      const auto some = std::span(bytes).first(length);
      std::vector<std::uint64_t> hashes{7};
      cohort::io::xxh64_blocks(some, block, hashes);
      REQUIRE(hashes.size() == 1 + (length + block - 1) / block);
      CHECK(hashes[0] == 7);
      for (std::size_t i = 1; i < hashes.size(); ++i) {
        const std::size_t at = (i - 1) * block;
        REQUIRE(hashes[i] == xxh64(some.subspan(at, std::min(block, length - at))));
      }
    }
}

TEST_CASE("xxh64: each bit that changes changes the value; bytes need no alignment") {
  std::vector<std::byte> bytes = some_bytes(77);
  const std::uint64_t before = xxh64(bytes);
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= std::byte(1u << bit % 8);
    CHECK(xxh64(bytes) != before);
    bytes[bit / 8] ^= std::byte(1u << bit % 8);
  }
  std::vector<std::byte> shifted(1 + bytes.size());
  std::ranges::copy(bytes, shifted.begin() + 1);
  CHECK(xxh64(std::span(shifted).subspan(1)) == before);
}
