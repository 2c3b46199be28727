// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/json_string.hpp: a string as it stands in a JSON text, decoded when it is asked for.
#pragma once
#include <algorithm>
#include <cohort/io/utf8.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace cohort::io {

namespace detail {

/// An escape of a JSON string: how many bytes it takes, 0 for none that exists, and what it means.
struct JsonEscape {
  std::size_t length = 0;
  std::uint32_t character = 0;
};

/// The number of four hexadecimal digits at `at`; 2^16 where they are not.
constexpr std::uint32_t four_hex_digits(std::string_view s, std::size_t at) {
  if (s.size() < at + 4) return 0x10000;
  std::uint32_t value = 0;
  for (const char c : s.substr(at, 4)) {
    const char lower = static_cast<char>(c | 0x20);
    const bool digit = c >= '0' && c <= '9', letter = lower >= 'a' && lower <= 'f';
    if (!digit && !letter) return 0x10000;
    value = value << 4 | static_cast<std::uint32_t>(digit ? c - '0' : lower - 'a' + 10);
  }
  return value;
}

/// The escape at the head of `s`, which begins with a backslash. Half of a surrogate pair is none.
constexpr JsonEscape json_escape(std::string_view s) {
  constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
  if (s.size() < 2) return {};
  if (const auto i = letters.find(s[1]); i != letters.npos)
    return {2, static_cast<std::uint32_t>(meanings[i])};
  if (s[1] != 'u') return {};
  const std::uint32_t high = four_hex_digits(s, 2);
  if (high >= 0x10000 || (high >= 0xDC00 && high <= 0xDFFF)) return {};
  if (high < 0xD800 || high > 0xDBFF) return {6, high};
  if (s.size() < 8 || s[6] != '\\' || s[7] != 'u') return {};
  const std::uint32_t low = four_hex_digits(s, 8);
  if (low < 0xDC00 || low > 0xDFFF) return {};
  return {12, 0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00)};
}

}  // namespace detail

/// A string of a JSON text: what stands between its quotes, checked, decoded when it is asked for.
/// Borrows the text.
class JsonString {
 public:
  constexpr JsonString(std::string_view raw, bool escaped) : raw_(raw), escaped_(escaped) {}

  constexpr std::string_view raw() const { return raw_; }
  constexpr bool escaped() const { return escaped_; }

  std::string text() const {
    if (!escaped_) return std::string(raw_);
    std::string out;
    for (std::string_view rest = raw_; !rest.empty();) {
      const std::size_t plain = std::min(rest.find('\\'), rest.size());
      out.append(rest.substr(0, plain));
      rest.remove_prefix(plain);
      if (rest.empty()) break;
      const detail::JsonEscape escape = detail::json_escape(rest);
      if (escape.length == 0) break;  // the text changed after it was checked
      append_utf8(out, escape.character);
      rest.remove_prefix(escape.length);
    }
    return out;
  }
  /// For messages: in quotes, as it stands in the text, cut where it is long.
  std::string quoted() const {
    constexpr std::size_t most = 120;
    if (raw_.size() <= most) return "\"" + std::string(raw_) + "\"";
    std::size_t end = most;
    while (end > 0 && (static_cast<unsigned char>(raw_[end]) & 0xC0) == 0x80) --end;
    return "\"" + std::string(raw_.substr(0, end)) + "...\"";
  }

  friend bool operator==(JsonString a, std::string_view b) {
    if (!a.escaped_) return a.raw_ == b;
    return a.raw_.size() <= 6 * b.size() && a.text() == b;  // no byte takes more than 6
  }
  friend bool operator==(JsonString a, JsonString b) {
    return a.escaped_ || b.escaped_ ? a.text() == b.text() : a.raw_ == b.raw_;
  }

 private:
  std::string_view raw_;
  bool escaped_;
};

}  // namespace cohort::io
