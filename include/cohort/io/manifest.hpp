// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/manifest.hpp: what a checkpoint says about itself: facts in words, and its files.
#pragma once
#include <algorithm>
#include <charconv>
#include <cohort/core/error.hpp>
#include <cohort/io/file.hpp>
#include <cohort/io/json.hpp>
#include <cohort/io/metrics.hpp>
#include <cohort/io/utf8.hpp>
#include <cohort/io/xxh64.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::io {

/// One file of a checkpoint: its name in the checkpoint's directory, its size, and the XXH64 of its
/// header and of the checksums of the rest.
struct CheckpointFile {
  std::string name;
  std::uint64_t bytes = 0, header_hash = 0;

  bool operator==(const CheckpointFile&) const = default;
};

/// What checkpoint.json holds.
struct Manifest {
  std::map<std::string, std::string> facts;
  std::vector<CheckpointFile> files;

  bool operator==(const Manifest&) const = default;
};

namespace detail {
inline constexpr std::string_view manifest_format = "cohort checkpoint 1";

inline std::string sixteen_digits(std::uint64_t value) {
  std::string out(16, '0');
  for (std::size_t i = 0; i < 16; ++i) out[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
  return out;
}
/// The end of a manifest: the checksum of all that stands before it.
inline std::string manifest_end(std::string_view before) {
  return '"' + sixteen_digits(xxh64(std::as_bytes(std::span(before)))) + "\"\n}\n";
}
/// The number that the whole of `text` is in this base; nothing else.
inline std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  const bool all = error == std::errc() && end == text.data() + text.size();
  return all ? std::optional(value) : std::nullopt;
}
/// A name that stays in its directory, and is not the manifest's.
inline bool is_plain_name(std::string_view name) {
  const bool special = name.empty() || name == "." || name == ".." || name == "checkpoint.json";
  return !special && is_utf8(name) && name.find('/') == name.npos && name.find('\0') == name.npos;
}
/// Why a manifest cannot be written, or should not have been; empty: it can.
inline std::string offence(const Manifest& manifest) {
  for (const auto& [name, value] : manifest.facts)
    if (!is_utf8(name) || !is_utf8(value)) return "a fact is not UTF-8: '" + name + "'";
  std::vector<std::string_view> names;
  for (const CheckpointFile& file : manifest.files) {
    if (!is_plain_name(file.name)) return "'" + file.name + "' is no name for a file of it";
    names.push_back(file.name);
  }
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  return twice == names.end() ? "" : "'" + std::string(*twice) + "' is listed twice";
}
/// Reads what to_json wrote; `format` is what the text says it is.
inline Manifest parse_manifest(JsonReader json, std::string& format) {
  Manifest out;
  json.object([&](JsonString key) {
    if (key == "facts")
      json.object([&](JsonString name) { out.facts[name.text()] = json.string().text(); });
    else if (key == "files")
      json.array([&] {
        CheckpointFile& file = out.files.emplace_back();
        json.object([&](JsonString name) {
          const std::string value = json.string().text();
          if (name == "name") file.name = value;
          if (name == "bytes") file.bytes = number(value, 10).value_or(0);
          if (name == "header_hash") file.header_hash = number(value, 16).value_or(0);
        });
      });
    else if (key == "format")
      format = json.string().text();
    else
      json.skip_value();
  });
  json.end();
  return out;
}
}  // namespace detail

/// The text of a manifest: JSON whose values are all strings, ends with the XXH64 of what stands
/// before it. InvalidInput: a fact is not UTF-8, a file's name is a path or comes twice.
inline std::string to_json(const Manifest& manifest) {
  if (const std::string offence = detail::offence(manifest); !offence.empty())
    throw InvalidInput(-1, "write a checkpoint's manifest", offence);
  std::string out = "{\n  ";
  const auto member = [&](std::string_view name, std::string_view value) {
    append_json(out, name);
    append_json(out += ": ", value);
  };
  member("format", detail::manifest_format);
  out += ",\n  \"facts\": {";
  for (const auto& [name, value] : manifest.facts) {
    out += out.back() == '{' ? "\n    " : ",\n    ";
    member(name, value);
  }
  out += "\n  },\n  \"files\": [";
  for (const CheckpointFile& file : manifest.files) {
    out += out.back() == '[' ? "\n    {" : ",\n    {";
    member("name", file.name);
    out += ", ";
    member("bytes", std::to_string(file.bytes));
    out += ", ";
    member("header_hash", detail::sixteen_digits(file.header_hash));
    out += '}';
  }
  out += "\n  ],\n  \"hash\": ";
  return out += detail::manifest_end(out);
}

/// Reads a checkpoint's manifest. ReadFailed; MalformedFile for a text that to_json did not write:
/// whatever was cut off, changed or added.
inline Manifest read_manifest(const std::filesystem::path& path) {
  constexpr std::uint64_t most = 64 << 20;
  const auto refuse = [&](std::string_view sentence) {
    throw MalformedFile(-1, "read '" + path.string() + "'",
                        std::string(sentence) + "; use another checkpoint");
  };
  const File file = File::to_read(path);
  if (file.size() == 0) refuse("it is empty: its checkpoint was never completed");
  if (file.size() > most) refuse("it is larger than a manifest can be (64 MiB)");
  std::string text(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  const std::size_t tail = detail::manifest_end("").size();
  const std::string_view all = text;
  if (all.size() < tail ||
      all.substr(all.size() - tail) != detail::manifest_end(all.substr(0, all.size() - tail)))
    refuse("its checksum is not that of its text: it was cut off, damaged or edited");
  std::string format;
  Manifest out = detail::parse_manifest(JsonReader(text, path.string()), format);
  if (format != detail::manifest_format)
    refuse("its format is '" + format + "', this version reads '" +
           std::string(detail::manifest_format) + "'");
  if (!detail::offence(out).empty()) refuse(detail::offence(out));
  if (to_json(out) != text) refuse("it is not as a manifest is written");
  return out;
}

/// Throws E where a file that the manifest lists is not there or has another size.
template <class E> void check_files(const std::filesystem::path& at, const Manifest& manifest) {
  for (const CheckpointFile& file : manifest.files) {
    std::string problem;
    try {  // opened, for a network file system to look again
      const std::uint64_t bytes = File::to_read(at / file.name).size();
      if (bytes != file.bytes)
        problem = "'" + file.name + "' has " + std::to_string(bytes) +
                  " bytes, its manifest says " + std::to_string(file.bytes) +
                  ": it was cut off or changed";
    } catch (const ReadFailed& e) {
      problem = e.what();
    }
    if (!problem.empty())
      throw E(-1, "checkpoint '" + at.string() + "'", problem + "; use another checkpoint");
  }
}

}  // namespace cohort::io
