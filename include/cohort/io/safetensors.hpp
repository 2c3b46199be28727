// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/safetensors.hpp: reads files of the safetensors format, with every check it demands.
#pragma once
#include <algorithm>
#include <cohort/io/file.hpp>
#include <cohort/io/json.hpp>
#include <cohort/io/mapped_file.hpp>
#include <cohort/io/name_index.hpp>
#include <cohort/io/stored_type.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace cohort::io {

/// The longest JSON text that the format allows in a header, in bytes.
inline constexpr std::uint64_t max_safetensors_header = 100'000'000;

/// Owns a mapped file of tensors, checked when this is made: 8 bytes with the header's length, a
/// JSON object, the tensors' bytes.
///
/// Units    offsets in bytes, numbers little-endian; the first extent of a shape changes slowest.
/// Cost     40 bytes a tensor (at most 96 while reading), 8 for each metadata key (at most 24); names,
///          shapes and metadata stay in the mapped header and are decoded by every call that
///          returns them. find() is a binary search.
/// Errors   ReadFailed: the file cannot be read. MalformedFile: what offends and where. Beyond what
///          the format's reference implementation refuses: white space before the header's '{',
///          names that come twice, fields it does not know, a tensor that is no JSON object,
///          a dtype that is no string, metadata that is null.
/// Laws     what is accepted the reference reads as the same tensors; every byte of the file belongs
///          to exactly one thing (tests/io/safetensors_test.cpp, tests/fuzz/safetensors.cpp).
/// Source   github.com/huggingface/safetensors, README.md, "Format".
class Safetensors {
 public:
  explicit Safetensors(const std::filesystem::path& path) : file_(path) {
    read_length();
    JsonReader json = reader(0);
    json.object([&](JsonString name) {
      if (name == "__metadata__")
        read_metadata(json);
      else
        tensors_.push_back(read_tensor(json, name));
    });
    json.end();
    check_tiling();
    check_names();
  }

  const std::string& path() const { return file_.path(); }
  /// The number of tensors.
  std::size_t size() const { return tensors_.size(); }
  /// In order of their bytes.
  StoredTensor operator[](std::size_t i) const {
    const Entry& entry = tensors_[i];
    StoredTensor out{name(entry).text(), type(entry), {}, entry.begin, entry.end};
    JsonReader json = reader(entry.shape);
    json.array([&] { out.shape.push_back(json.unsigned_integer()); });
    return out;
  }
  std::string name(std::size_t i) const { return name(tensors_[i]).text(); }
  std::optional<StoredTensor> find(std::string_view wanted) const {
    const auto is = [&](std::uint32_t i) { return name(tensors_[i]) == wanted; };
    const auto found = names_.find(names_.hash(wanted), is);
    if (!found) return {};
    return (*this)[*found];
  }

  /// The text that the writer kept under this key.
  std::optional<std::string> metadata(std::string_view key) const {
    const auto is = [&](std::uint32_t at) { return reader(at).string() == key; };
    const auto found = keys_.find(keys_.hash(key), is);
    if (!found) return {};
    JsonReader json = reader(*found);
    json.name();
    return json.string().text();
  }
  /// All of it, in the file's order.
  std::vector<std::pair<std::string, std::string>> metadata() const {
    std::vector<std::pair<std::string, std::string>> out;
    if (!metadata_at_) return out;
    JsonReader json = reader(*metadata_at_);
    json.object([&](JsonString key) { out.emplace_back(key.text(), json.string().text()); });
    return out;
  }

  /// The 8 bytes of the length and the JSON text, for checksums.
  std::string_view header() const { return file_.text().substr(0, 8 + header_bytes_); }

  /// The tensor's bytes in the mapping: see MappedFile for what a file that shrinks does.
  std::span<const std::byte> view(const StoredTensor& t) const {
    check_range(t, 0, t.bytes());
    return file_.bytes().subspan(8 + header_bytes_ + t.begin, t.bytes());
  }
  /// Fills `to` from byte `at` of the tensor by a system call, which throws when the file shrank.
  void read(const StoredTensor& t, std::uint64_t at, std::span<std::byte> to) const {
    check_range(t, at, to.size());
    file_.file().read(8 + header_bytes_ + t.begin + at, to);
  }
  /// The same from byte `at` of all tensors' bytes, as they follow each other.
  void read_data(std::uint64_t at, std::span<std::byte> to) const {
    file_.file().read(8 + header_bytes_ + at, to);
  }

 private:
  struct Entry {  // names and shapes are places in the header, which is shorter than 2^27 bytes
    std::uint32_t name : 27, type : 5;
    std::uint32_t name_bytes : 27, escaped : 1;
    std::uint32_t shape, hash;
    std::uint64_t begin, end;
  };
  static_assert(sizeof(Entry) == 32);
  enum Field : unsigned { dtype = 1, shape = 2, data_offsets = 4, all_fields = 7 };

  [[noreturn]] void refuse(const std::string& sentence) const {
    throw MalformedFile(-1, "read '" + path() + "'", sentence);
  }
  std::string_view json_text() const { return file_.text().substr(8, header_bytes_); }
  JsonReader reader(std::size_t at) const {
    return JsonReader(json_text().substr(at), path(), 8 + at);
  }
  std::uint64_t data_bytes() const { return file_.bytes().size() - 8 - header_bytes_; }
  std::uint32_t place(JsonString s) const {
    return static_cast<std::uint32_t>(s.raw().data() - json_text().data());
  }
  JsonString name(const Entry& e) const {
    return {json_text().substr(e.name, e.name_bytes), e.escaped != 0};
  }
  static StoredType type(const Entry& e) { return StoredType{static_cast<std::uint8_t>(e.type)}; }
  std::string quoted(const Entry& e) const { return "tensor " + name(e).quoted(); }

  void read_length() {
    const std::span<const std::byte> bytes = file_.bytes();
    if (bytes.size() < 8)
      refuse("the file has " + std::to_string(bytes.size()) +
             " bytes, fewer than the 8 that hold the header's length");
    for (std::size_t i = 0; i < 8; ++i) header_bytes_ |= std::uint64_t(bytes[i]) << 8 * i;
    const std::string length = "the header's length of " + std::to_string(header_bytes_) + " bytes";
    if (header_bytes_ > max_safetensors_header)
      refuse(length + " is above the format's limit of 100000000");
    if (header_bytes_ > bytes.size() - 8)
      refuse(length + " passes the end of the file, which has " + std::to_string(bytes.size() - 8) +
             " bytes behind it");
    if (!json_text().starts_with('{')) refuse("the header does not begin with '{'");
  }

  std::uint32_t hash(JsonString s) const {
    return s.escaped() ? names_.hash(s.text()) : names_.hash(s.raw());
  }

  void read_metadata(JsonReader& json) {
    json.peek();
    if (metadata_at_) json.refuse(json.at(), "\"__metadata__\" comes twice");
    metadata_at_ = json.at();
    json.object([&](JsonString key) {
      keys_.add(key.escaped() ? keys_.hash(key.text()) : keys_.hash(key.raw()), place(key) - 1);
      json.string();
    });
    const auto key = [&](std::uint32_t at) { return reader(at).string(); };
    const auto same = [&](std::uint32_t a, std::uint32_t b) { return key(a) == key(b); };
    if (const auto twice = keys_.sort_and_find_twice(same))
      json.refuse(twice->second, "the metadata " + key(twice->second).quoted() + " comes twice");
  }

  Entry read_tensor(JsonReader& json, JsonString name) {
    Entry e{};
    e.name = place(name);
    e.name_bytes = static_cast<std::uint32_t>(name.raw().size()) & 0x7ffffff;
    e.escaped = name.escaped();
    e.hash = hash(name);
    ElementCount count;
    unsigned seen = 0;
    json.object([&](JsonString field) {
      const Field which = field == "dtype"          ? dtype
                          : field == "shape"        ? shape
                          : field == "data_offsets" ? data_offsets
                                                    : all_fields;
      const std::size_t at = place(field) - 1;
      if (which == all_fields)
        json.refuse(at,
                    quoted(e) + " has a field that the format does not know: " + field.quoted());
      if (seen & which) json.refuse(at, quoted(e) + " has the field " + field.quoted() + " twice");
      seen |= which;
      if (which == dtype) e.type = read_type(json, e);
      if (which == shape) e.shape = read_shape(json, count, e);
      if (which == data_offsets) std::tie(e.begin, e.end) = read_offsets(json, e);
    });
    if (seen != all_fields)
      json.refuse(json.at(), quoted(e) + " has no \"" +
                                 (!(seen & dtype)   ? "dtype"
                                  : !(seen & shape) ? "shape"
                                                    : "data_offsets") +
                                 "\"");
    check_size(json, e, count);
    return e;
  }

  std::uint32_t read_type(JsonReader& json, const Entry& e) const {
    const JsonString text = json.string("a type's name in quotes");
    const bool decode = text.escaped() && text.raw().size() < 100;
    const auto type = stored_type(decode ? text.text() : std::string(text.raw().substr(0, 100)));
    if (!type)
      json.refuse(place(text) - 1,
                  quoted(e) + " has a dtype that the format does not know: " + text.quoted());
    return static_cast<std::uint32_t>(*type) & 31;
  }

  std::uint32_t read_shape(JsonReader& json, ElementCount& count, const Entry& e) const {
    json.peek();
    const std::size_t begin = json.at();
    json.array([&] { count.times(json.unsigned_integer()); });
    if (!count.fits()) json.refuse(begin, quoted(e) + " has a shape of 2^64 elements or more");
    return static_cast<std::uint32_t>(begin);
  }

  std::pair<std::uint64_t, std::uint64_t> read_offsets(JsonReader& json, const Entry& e) const {
    std::uint64_t ends[2] = {}, count = 0;
    json.peek();
    const std::size_t begin = json.at();
    json.array([&] {
      const std::uint64_t value = json.unsigned_integer();
      if (count < 2) ends[count] = value;
      ++count;
    });
    if (count != 2)
      json.refuse(begin, quoted(e) + " has " + std::to_string(count) + " data_offsets, not 2");
    if (ends[0] > ends[1]) json.refuse(begin, quoted(e) + " begins behind its end");
    return {ends[0], ends[1]};
  }

  void check_size(const JsonReader& json, const Entry& e, const ElementCount& count) const {
    const std::optional<std::uint64_t> bytes = count.bytes(type(e));
    if (!bytes)
      json.refuse(json.at(), quoted(e) + " has a shape of " +
                                 std::string(cohort::io::name(type(e))) +
                                 " that is not a whole number of bytes below 2^61");
    if (*bytes != e.end - e.begin)
      json.refuse(json.at(), quoted(e) + " takes " + std::to_string(*bytes) +
                                 " bytes by its shape and dtype, " +
                                 std::to_string(e.end - e.begin) + " by its data_offsets");
  }

  void check_tiling() {
    std::sort(tensors_.begin(), tensors_.end(), [](const Entry& a, const Entry& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    std::uint64_t at = 0;
    for (const Entry& e : tensors_) {
      if (e.begin != at)
        refuse(quoted(e) + " begins at byte " + std::to_string(e.begin) + " of the data, " +
               (e.begin < at ? "inside the tensor that ends at byte "
                             : "behind a hole that begins at byte ") +
               std::to_string(at));
      at = e.end;
    }
    if (at != data_bytes())
      refuse("the tensors end at byte " + std::to_string(at) + " of the data, the file at byte " +
             std::to_string(data_bytes()));
  }

  void check_names() {
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      names_.add(tensors_[i].hash, static_cast<std::uint32_t>(i));
    const auto same = [&](std::uint32_t a, std::uint32_t b) {
      return name(tensors_[a]) == name(tensors_[b]);
    };
    if (const auto twice = names_.sort_and_find_twice(same))
      refuse(quoted(tensors_[twice->first]) + " comes twice");
  }

  void check_range(const StoredTensor& t, std::uint64_t at, std::uint64_t count) const {
    if (t.begin <= t.end && t.end <= data_bytes() && at <= t.bytes() && count <= t.bytes() - at)
      return;
    throw InvalidInput(-1, "read '" + path() + "'",
                       "bytes " + std::to_string(at) + " and " + std::to_string(count) +
                           " more are not all inside tensor \"" + t.name +
                           "\" of this file; ask find() for the tensor's place");
  }

  MappedFile file_;
  std::uint64_t header_bytes_ = 0;
  std::vector<Entry> tensors_;
  NameIndex names_, keys_;  // of tensors: their number; of metadata: the byte of the key
  std::optional<std::size_t> metadata_at_;
};

}  // namespace cohort::io
