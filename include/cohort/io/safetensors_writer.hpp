// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/safetensors_writer.hpp: lays out and writes safetensors files as the reference does.
#pragma once
#include <unistd.h>

#include <algorithm>
#include <cohort/io/file.hpp>
#include <cohort/io/stored_type.hpp>
#include <cohort/io/utf8.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort::io {

/// A tensor that is to be written.
struct TensorSpec {
  std::string name;
  StoredType type = StoredType::F32;
  std::vector<std::uint64_t> shape;
};

namespace detail {

/// A JSON string with the escapes that the reference implementation writes.
inline void append_json_string(std::string& out, std::string_view s) {
  constexpr std::string_view special = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
  constexpr char digits[] = "0123456789abcdef";
  out += '"';
  for (const char c : s) {
    const auto code = static_cast<unsigned char>(c);
    if (const auto i = special.find(c); i != special.npos)
      (out += '\\') += letters[i];
    else if (code < 0x20)
      ((out += "\\u00") += digits[code >> 4]) += digits[code & 15];
    else
      out += c;
  }
  out += '"';
}

template <class Number> void append_list(std::string& out, std::span<const Number> numbers) {
  char separator = '[';
  for (const Number n : numbers) {
    (out += separator) += std::to_string(n);
    separator = ',';
  }
  out += numbers.empty() ? "[]" : "]";
}

}  // namespace detail

/// Where everything in a file will be, known before any byte of a tensor is: tensors may be written
/// in any order, by anybody.
///
/// Units    bytes. Tensors stand in the order of StoredType, highest first, then of names: those of
///          64 bits before those of 32, so each is aligned to its element. The header is filled with
///          spaces to a multiple of 8.
/// Errors   InvalidInput: a name or metadata key that comes twice, is "__metadata__" or not UTF-8; a
///          tensor that is not whole bytes; a file of 2^63 bytes or more; a header above the
///          format's limit.
/// Laws     the bytes equal those of Python's safetensors for the same tensors and at most one
///          metadata key, whose order is random there (tests/io/safetensors_writer_test.cpp).
class SafetensorsLayout {
 public:
  using Metadata = std::vector<std::pair<std::string, std::string>>;

  explicit SafetensorsLayout(const std::vector<TensorSpec>& tensors, const Metadata& metadata = {})
      : places_(tensors.size()) {
    std::vector<std::size_t> order(tensors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
      const TensorSpec &a = tensors[i], &b = tensors[j];
      return a.type != b.type ? a.type > b.type : a.name < b.name;
    });
    check_names(tensors, metadata);
    header_.assign(8, '\0');
    append_metadata(metadata);
    for (const std::size_t i : order) append_tensor(tensors[i], places_[i]);
    header_ += header_.size() == 8 ? "{}" : "}";
    header_.append((8 - header_.size() % 8) % 8, ' ');
    if (header_.size() - 8 > most_header)
      refuse("the header would have " + std::to_string(header_.size() - 8) +
             " bytes, above the format's limit of 100000000; write several files");
    for (std::size_t i = 0; i < 8; ++i)
      header_[i] = static_cast<char>((header_.size() - 8) >> 8 * i & 0xff);
  }

  /// The first bytes of the file: the length of the JSON text, and the text.
  std::string_view header() const { return header_; }
  /// The byte of the file where the i-th tensor begins, in the order given.
  std::uint64_t offset(std::size_t i) const { return header_.size() + places_[i].begin; }
  std::uint64_t bytes(std::size_t i) const { return places_[i].bytes; }
  std::uint64_t file_bytes() const { return header_.size() + data_bytes_; }

 private:
  static constexpr std::uint64_t most_header = 100'000'000;
  struct Place {
    std::uint64_t begin = 0, bytes = 0;
  };

  [[noreturn]] static void refuse(const std::string& sentence) {
    throw InvalidInput(-1, "lay out a safetensors file", sentence);
  }
  static void check_unique(std::vector<std::string_view> names, std::string_view what) {
    std::sort(names.begin(), names.end());
    for (const std::string_view n : names)
      if (!is_utf8(n)) refuse(std::string(what) + " is not UTF-8; encode it so");
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end())
      refuse(std::string(what) + " '" + std::string(*twice) + "' comes twice; give each its own");
  }
  static void check_names(const std::vector<TensorSpec>& tensors, const Metadata& metadata) {
    std::vector<std::string_view> names, keys;
    for (const TensorSpec& t : tensors) names.push_back(t.name);
    for (const auto& [key, value] : metadata) {
      keys.push_back(key);
      if (!is_utf8(value)) refuse("the metadata of '" + key + "' is not UTF-8; encode it so");
    }
    check_unique(names, "a tensor's name");
    check_unique(keys, "a metadata key");
    if (std::find(names.begin(), names.end(), "__metadata__") != names.end())
      refuse("'__metadata__' is no name for a tensor: the format keeps it for texts");
  }

  void append_metadata(const Metadata& metadata) {
    if (metadata.empty()) return;
    header_ += "{\"__metadata__\":";
    char separator = '{';
    for (const auto& [key, value] : metadata) {
      header_ += separator;
      detail::append_json_string(header_, key);
      header_ += ':';
      detail::append_json_string(header_, value);
      separator = ',';
    }
    header_ += '}';
  }

  void append_tensor(const TensorSpec& t, Place& place) {
    ElementCount count;
    for (const std::uint64_t extent : t.shape) count.times(extent);
    const std::optional<std::uint64_t> bytes = count.bytes(t.type);
    if (!bytes || *bytes > most_bytes - data_bytes_)
      refuse("tensor '" + t.name + "' of " + std::string(name(t.type)) +
             " is not a whole number of bytes, or passes the end of the largest file");
    place = {data_bytes_, *bytes};
    data_bytes_ += *bytes;
    header_ += header_.size() == 8 ? '{' : ',';
    detail::append_json_string(header_, t.name);
    ((header_ += ":{\"dtype\":\"") += name(t.type)) += "\",\"shape\":";
    detail::append_list(header_, std::span<const std::uint64_t>(t.shape));
    const std::uint64_t ends[] = {place.begin, data_bytes_};
    header_ += ",\"data_offsets\":";
    detail::append_list(header_, std::span<const std::uint64_t>(ends));
    header_ += '}';
  }

  // 2^63 less the longest header: file systems count bytes in signed 64 bits.
  static constexpr std::uint64_t most_bytes = (std::uint64_t{1} << 63) - most_header - 8 - 1;

  std::string header_;
  std::vector<Place> places_;
  std::uint64_t data_bytes_ = 0;
};

/// A tensor with its bytes, little-endian, the last extent changing fastest.
struct TensorData {
  TensorSpec spec;
  std::span<const std::byte> data;
};

/// Writes a whole file: under a temporary name beside it, synced, then renamed. Readers see the old
/// file or the new one.
///
/// Errors   InvalidInput: what SafetensorsLayout refuses, or data of another size than the shape.
///          WriteFailed: path and reason; the temporary file is removed where that is possible.
inline void write_safetensors(const std::filesystem::path& path,
                              const std::vector<TensorData>& tensors,
                              const SafetensorsLayout::Metadata& metadata = {}) {
  std::vector<TensorSpec> specs;
  for (const TensorData& t : tensors) specs.push_back(t.spec);
  const SafetensorsLayout layout(specs, metadata);
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].data.size() != layout.bytes(i))
      throw InvalidInput(-1, "write '" + path.string() + "'",
                         "tensor '" + specs[i].name + "' takes " + std::to_string(layout.bytes(i)) +
                             " bytes by its shape; give these, not " +
                             std::to_string(tensors[i].data.size()));
  std::filesystem::path temporary = path;
  temporary += ".tmp";
  File file = File::to_write(temporary);
  try {
    file.write(0, std::as_bytes(std::span(layout.header())));
    for (std::size_t i = 0; i < tensors.size(); ++i) file.write(layout.offset(i), tensors[i].data);
    file.sync();
    file.close();
    move_to(temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  const std::filesystem::path parent = path.parent_path();
  sync_directory(parent.empty() ? "." : parent);
}

}  // namespace cohort::io
