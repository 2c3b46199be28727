// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/metrics.hpp: a log of measurements, one JSON object a line.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cohort/core/error.hpp>
#include <cohort/io/file.hpp>
#include <cohort/io/utf8.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

namespace cohort::io {

/// Appends `s` as a JSON string. Bytes that are not UTF-8 become U+FFFD: the line stays valid JSON.
inline void append_json(std::string& out, std::string_view s) {
  constexpr char digits[] = "0123456789abcdef";
  out += '"';
  while (!s.empty()) {
    const std::size_t length = utf8_length(s);
    const auto c = static_cast<std::uint8_t>(s[0]);
    if (length == 0) {
      out += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      (out += '\\') += s[0];
    } else if (c < 0x20 || c == 0x7f) {
      ((out += "\\u00") += digits[c >> 4]) += digits[c & 15];
    } else {
      out += s.substr(0, length);
    }
    s.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
}

/// Appends the shortest decimal that reads back as the same number; null for NaN and infinity,
/// which JSON does not have.
template <class T>
requires std::is_arithmetic_v<T>
void append_json(std::string& out, T value) {
  if constexpr (std::same_as<T, bool>) {
    out += value ? "true" : "false";
  } else {
    if constexpr (std::floating_point<T>) {
      if (!std::isfinite(value)) {
        out += "null";
        return;
      }
    }
    char digits[64];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  }
}

/// A name and its value: any number, bool or text. Borrows both: write it out at once.
class Field {
 public:
  template <class T>
  requires std::integral<T> Field(std::string_view name, T value)
      : name_(name), value_(in_place(value)) {}
  Field(std::string_view name, float value) : name_(name), value_(value) {}
  Field(std::string_view name, double value) : name_(name), value_(value) {}
  Field(std::string_view name, std::string_view value) : name_(name), value_(value) {}
  Field(std::string_view name, const char* value) : name_(name), value_(std::string_view(value)) {}
  Field(std::string_view name, const std::string& value)
      : name_(name), value_(std::string_view(value)) {}

  Field(std::string_view name, std::nullptr_t) = delete;

  void append(std::string& out) const {
    append_json(out, name_);
    out += ": ";
    std::visit([&](auto value) { append_json(out, value); }, value_);
  }

 private:
  using Value = std::variant<bool, std::int64_t, std::uint64_t, float, double, std::string_view>;
  template <class T> static Value in_place(T value) {
    if constexpr (std::same_as<T, bool>)
      return value;
    else if constexpr (std::is_signed_v<T>)
      return static_cast<std::int64_t>(value);
    else
      return static_cast<std::uint64_t>(value);
  }
  std::string_view name_;
  Value value_;
};

/// Fields in their order as one JSON object, without a newline.
inline std::string json(std::initializer_list<Field> fields) {
  std::string out = "{";
  for (const Field& field : fields) {
    if (out.size() > 1) out += ", ";
    field.append(out);
  }
  return out += '}';
}

/// Owns a file of JSON lines. Each write is on disk's side of the system when the call returns, so
/// a killed run keeps every line.
///
/// Cost     one system call a line.
/// Errors   InvalidInput: the path cannot be opened. WriteFailed: the line did not fit; the file
///          is cut back to whole lines.
class Metrics {
 public:
  enum class Open : std::uint8_t { replace, append };

  explicit Metrics(const std::filesystem::path& path, Open how = Open::replace)
      : path_(path.string()),
        file_(
            ::open(path_.c_str(),
                   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (how == Open::replace ? O_TRUNC : 0),
                   0666)) {
    if (file_ >= 0) return;
    throw InvalidInput(-1, "open '" + path_ + "'",
                       "the log cannot be written (" + reason(errno) +
                           "); give a file in a directory that exists and is "
                           "writable");
  }
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;
  ~Metrics() { ::close(file_); }

  /// metrics.write({{"step", 10}, {"loss", 2.5f}, {"phase", "train"}});
  void write(std::initializer_list<Field> fields) { write_line(json(fields) + '\n'); }

 private:
  static std::string reason(int code) { return std::generic_category().message(code); }

  void write_line(std::string_view line) {
    const off_t before = ::lseek(file_, 0, SEEK_END);
    for (std::string_view rest = line; !rest.empty();) {
      const ssize_t n = ::write(file_, rest.data(), rest.size());
      if (n >= 0) rest.remove_prefix(static_cast<std::size_t>(n));
      if (n >= 0 || errno == EINTR) continue;
      const int code = errno;
      const bool whole = rest.size() == line.size() || ::ftruncate(file_, before) == 0;
      throw WriteFailed(
          -1, "write '" + path_ + "'",
          reason(code) +
              (whole ? "; the lines written before are kept" : "; the last line is incomplete") +
              "; make room or log elsewhere");
    }
  }

  std::string path_;
  int file_;
};

/// Cuts a log back to where it stood after a step, so that a run which resumes there writes it on as if
/// nothing had happened: what follows goes from the first line on that begins with a later "step", or
/// that a crash left unfinished. A file that is not there stays so.
///
/// Errors   ReadFailed, WriteFailed.
inline void cut_metrics(const std::filesystem::path& path, std::int64_t step) {
  constexpr std::string_view key = "{\"step\": ";
  std::error_code missing;
  if (!std::filesystem::exists(path, missing)) return;
  const File file = File::to_change(path);
  std::uint64_t kept = 0;
  std::ifstream in(path, std::ios::binary);
  for (std::string line; std::getline(in, line) && !in.eof(); kept += line.size() + 1) {
    std::int64_t its_step = step;
    if (line.starts_with(key))
      std::from_chars(line.data() + key.size(), line.data() + line.size(), its_step);
    if (its_step > step) break;
  }
  if (in.bad()) detail::fail<ReadFailed>("read", path.string(), EIO);
  if (kept < file.size()) file.resize(kept);
}

}  // namespace cohort::io
