// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/stored_type_test.cpp: types by name and size, and numbers of elements that cannot wrap.
#include <doctest/doctest.h>

#include <cohort/core/rng.hpp>
#include <cohort/io/stored_type.hpp>
#include <set>
#include <string>

using namespace cohort::io;

template <class T>
concept Stored = requires {
  detail::stored_as<T>::value;
};
static_assert(Stored<float> && !Stored<int*> && !Stored<long double>);

static_assert(stored_type_of<float> == StoredType::F32 &&
              stored_type_of<double> == StoredType::F64);
static_assert(stored_type_of<cohort::bf16> == StoredType::BF16);
static_assert(stored_type_of<cohort::fp16> == StoredType::F16);
static_assert(stored_type_of<std::uint8_t> == StoredType::U8);
static_assert(stored_type_of<std::int64_t> == StoredType::I64);

template <class... T>
constexpr bool sizes_agree = ((bits(stored_type_of<T>) == 8 * static_cast<int>(sizeof(T))) && ...);
static_assert(sizes_agree<bool, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t,
                          cohort::fp16, cohort::bf16, std::int32_t, std::uint32_t, float,
                          std::complex<float>, double, std::int64_t, std::uint64_t>);

TEST_CASE("StoredType: names are different, known again, and no other is") {
  std::set<std::string> names;
  for (int i = 0; i < num_stored_types; ++i) {
    const auto t = static_cast<StoredType>(i);
    CHECK(names.insert(std::string(name(t))).second);
    CHECK(stored_type(name(t)) == t);
  }
  CHECK(names.size() == 22);
  for (const char* other : {"", "f32", "F32 ", "F3", "F322", "F128", "I4", "BFLOAT16"})
    CHECK(!stored_type(other));
}

TEST_CASE("StoredType: the bits are those in the name") {
  for (int i = 0; i < num_stored_types; ++i) {
    const auto t = static_cast<StoredType>(i);
    const std::string text(name(t));
    const auto digit = text.find_first_of("0123456789");
    CHECK(bits(t) == (t == StoredType::BOOL ? 8 : std::stoi(text.substr(digit))));
  }
}

TEST_CASE("StoredType: wider elements have higher numbers, so files in that order are aligned") {
  for (int i = 1; i < num_stored_types; ++i)
    if (bits(static_cast<StoredType>(i)) >= 8 && i > 4)
      CHECK(bits(static_cast<StoredType>(i)) >= bits(static_cast<StoredType>(i - 1)));
}

TEST_CASE("ElementCount: agrees with 128-bit products, up to where they pass 64 bits") {
#if defined(__SIZEOF_INT128__)
  __extension__ using Wide = unsigned __int128;
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    ElementCount count;
    Wide product = 1;
    bool fits = true;
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint64_t extent =
          cohort::random_bits(seed, 0, i) >> cohort::uniform_below(64, seed, 1, i);
      count.times(extent);
      if (fits) product *= extent;
      fits = fits && product >> 64 == 0;
    }
    REQUIRE(count.fits() == fits);
    for (const StoredType t :
         {StoredType::F4, StoredType::F6_E2M3, StoredType::U8, StoredType::F64}) {
      const Wide all = fits ? product * static_cast<unsigned>(bits(t)) : 0;
      const bool whole = fits && all >> 64 == 0 && all % 8 == 0;
      REQUIRE(count.bytes(t).has_value() == whole);
      if (whole) REQUIRE(*count.bytes(t) == static_cast<std::uint64_t>(all / 8));
    }
  }
#endif
}

TEST_CASE("ElementCount: a product that wraps to 0 is not 0") {
  const auto bytes = [](std::initializer_list<std::uint64_t> shape, StoredType t) {
    ElementCount count;
    for (const std::uint64_t extent : shape) count.times(extent);
    return count.bytes(t);
  };
  constexpr std::uint64_t big = std::uint64_t{1} << 32;
  CHECK(!bytes({big, big}, StoredType::U8));
  CHECK(!bytes({big, big, 0}, StoredType::U8));
  CHECK(bytes({0, big, big}, StoredType::U8) == 0u);
  CHECK(!bytes({big, big >> 3}, StoredType::U8));  // 2^61 elements are 2^64 bits
  CHECK(bytes({big, big >> 4}, StoredType::U8) == big * (big >> 4));
  CHECK(bytes({}, StoredType::F64) == 8u);
  CHECK(!bytes({3}, StoredType::F4));
  CHECK(bytes({4}, StoredType::F6_E3M2) == 3u);
}
