// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/stored_type.hpp: the element types of safetensors files, and tensors described by them.
#pragma once
#include <cohort/core/float16.hpp>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::io {

/// In the order of the format's reference implementation: writers put the highest first.
enum class StoredType : std::uint8_t {
  BOOL,
  F4,
  F6_E2M3,
  F6_E3M2,
  U8,
  I8,
  F8_E5M2,
  F8_E4M3,
  F8_E8M0,
  F8_E4M3FNUZ,
  F8_E5M2FNUZ,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  C64,
  F64,
  I64,
  U64
};
/// How many element types the format has.
inline constexpr int num_stored_types = 22;

/// As a header spells it.
constexpr std::string_view name(StoredType t) {
  constexpr std::string_view names[] = {
      "BOOL",    "F4",          "F6_E2M3",     "F6_E3M2", "U8",  "I8",  "F8_E5M2", "F8_E4M3",
      "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I16",     "U16", "F16", "BF16",    "I32",
      "U32",     "F32",         "C64",         "F64",     "I64", "U64"};
  return names[static_cast<int>(t)];
}

/// Of one element; the elements of a tensor stand without gaps between them.
constexpr int bits(StoredType t) {
  constexpr int sizes[] = {8,  4,  6,  6,  8,  8,  8,  8,  8,  8,  8,
                           16, 16, 16, 16, 32, 32, 32, 64, 64, 64, 64};
  return sizes[static_cast<int>(t)];
}

/// The type of this name; none for a name that the format does not have.
constexpr std::optional<StoredType> stored_type(std::string_view text) {
  for (int i = 0; i < num_stored_types; ++i)
    if (name(static_cast<StoredType>(i)) == text) return static_cast<StoredType>(i);
  return {};
}

namespace detail {
template <StoredType t> struct StoredAs { static constexpr StoredType value = t; };
template <class T> struct stored_as;  // primary says no: files have no such element
template <> struct stored_as<bool> : StoredAs<StoredType::BOOL> {};
template <> struct stored_as<std::uint8_t> : StoredAs<StoredType::U8> {};
template <> struct stored_as<std::int8_t> : StoredAs<StoredType::I8> {};
template <> struct stored_as<std::int16_t> : StoredAs<StoredType::I16> {};
template <> struct stored_as<std::uint16_t> : StoredAs<StoredType::U16> {};
template <> struct stored_as<fp16> : StoredAs<StoredType::F16> {};
template <> struct stored_as<bf16> : StoredAs<StoredType::BF16> {};
template <> struct stored_as<std::int32_t> : StoredAs<StoredType::I32> {};
template <> struct stored_as<std::uint32_t> : StoredAs<StoredType::U32> {};
template <> struct stored_as<float> : StoredAs<StoredType::F32> {};
template <> struct stored_as<std::complex<float>> : StoredAs<StoredType::C64> {};
template <> struct stored_as<double> : StoredAs<StoredType::F64> {};
template <> struct stored_as<std::int64_t> : StoredAs<StoredType::I64> {};
template <> struct stored_as<std::uint64_t> : StoredAs<StoredType::U64> {};
}  // namespace detail

/// The value for the C++ type T.
template <class T> inline constexpr StoredType stored_type_of = detail::stored_as<T>::value;

/// The number of elements of a tensor, extent by extent. A product that passes 2^64 - 1 never fits
/// again, also when an extent of 0 follows.
class ElementCount {
 public:
  constexpr void times(std::uint64_t extent) {
    fits_ = fits_ && (extent == 0 || count_ <= ~std::uint64_t{0} / extent);
    count_ *= extent;
  }
  constexpr bool fits() const { return fits_; }
  /// Of that many elements; nothing where they are not whole bytes, or 2^64 bits and more.
  constexpr std::optional<std::uint64_t> bytes(StoredType t) const {
    ElementCount all = *this;
    all.times(static_cast<std::uint64_t>(bits(t)));
    if (!all.fits_ || all.count_ % 8 != 0) return {};
    return all.count_ / 8;
  }

 private:
  std::uint64_t count_ = 1;
  bool fits_ = true;
};

/// A tensor of a file. begin and end are bytes of the area behind the header.
struct StoredTensor {
  std::string name;
  StoredType type = StoredType::U8;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0, end = 0;

  std::uint64_t bytes() const { return end - begin; }
};

static_assert(name(StoredType::U64) == "U64" && bits(StoredType::U64) == 64);
static_assert(stored_type(name(StoredType::F8_E8M0)) == StoredType::F8_E8M0);
static_assert(bits(stored_type_of<bf16>) == 8 * sizeof(bf16));

}  // namespace cohort::io
