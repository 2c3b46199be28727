// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/json.hpp: a strict reader of JSON that stands in memory, without a copy of it.
#pragma once
#include <cohort/io/file.hpp>
#include <cohort/io/json_string.hpp>
#include <cohort/io/utf8.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

namespace cohort::io {

/// Reads a JSON text from front to back: the caller says what must come next. Borrows the text and
/// the name of its source.
///
///     JsonReader json(text, "sizes.json");
///     json.object([&](JsonString name) { sizes[name.text()] = json.unsigned_integer(); });
///     json.end();
///
/// Cost     one pass; no allocation but in messages.
/// Errors   MalformedFile: the source, the byte, what was expected and what stands there. Refused
///          beside what JSON forbids: numbers but integers of 0 to 2^64 - 1, bytes that are not
///          UTF-8, halves of surrogate pairs, values nested deeper than max_depth. Names that come
///          twice are the caller's to refuse.
/// Laws     whatever is accepted an independent parser accepts with the same meaning
///          (tests/io/json_test.cpp).
class JsonReader {
 public:
  static constexpr int max_depth = 64;

  /// `first` is the byte of the source where the text begins.
  JsonReader(std::string_view text, std::string_view source, std::uint64_t first = 0)
      : text_(text), source_(source), first_(first) {}

  /// The byte of the text that comes next; after peek(), where a value begins.
  std::size_t at() const { return at_; }
  /// The next character that is not white space; 0 at the end.
  char peek() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  /// Calls member(name) for each member; it must read the member's value.
  template <class F> void object(F member) {
    open('{', "an object ('{')");
    if (!take('}')) {
      do {
        member(name());
      } while (take(','));
      expect('}', "',' or '}'");
    }
    --depth_;
  }

  /// Calls element() for each element; it must read it.
  template <class F> void array(F element) {
    open('[', "an array ('[')");
    if (!take(']')) {
      do element();
      while (take(','));
      expect(']', "',' or ']'");
    }
    --depth_;
  }

  JsonString string(std::string_view expected = "a string in quotes") {
    expect('"', expected);
    const std::size_t begin = at_;
    bool escaped = false;
    for (; next_special() != '"'; at_ += special_length()) escaped |= text_[at_] == '\\';
    return {text_.substr(begin, at_++ - begin), escaped};
  }

  /// The name of a member and the colon behind it.
  JsonString name() {
    const JsonString out = string("a name in quotes");
    expect(':', "':' after the name");
    return out;
  }

  /// An integer of 0 to 2^64 - 1, without sign, fraction, exponent or leading zeros.
  std::uint64_t unsigned_integer() {
    constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    if (!is_digit(peek())) fail("an integer of 0 to 2^64 - 1");
    const std::size_t begin = at_;
    std::uint64_t value = 0;
    for (; at_ < text_.size() && is_digit(text_[at_]); ++at_) {
      const auto digit = static_cast<std::uint64_t>(text_[at_] - '0');
      if (value > (most - digit) / 10) fail_at(begin, "an integer below 2^64");
      value = value * 10 + digit;
    }
    if (text_[begin] == '0' && at_ > begin + 1) fail_at(begin, "a number without leading zeros");
    if (at_ < text_.size() && (text_[at_] == '.' || (text_[at_] | 0x20) == 'e'))
      fail_at(begin, "an integer, without fraction or exponent");
    return value;
  }

  /// Any value, checked and left aside.
  void skip_value() {
    switch (const char c = peek()) {
      case '{':
        return object([&](JsonString) { skip_value(); });
      case '[':
        return array([&] { skip_value(); });
      case '"':
        return static_cast<void>(string());
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        if (c != '-' && !is_digit(c)) fail("a value");
        return skip_number();
    }
  }

  /// Nothing but white space follows.
  void end() {
    peek();
    if (at_ < text_.size()) fail("the end of the text");
  }

  /// Throws MalformedFile: the text is JSON, but not what its format wants, at this byte.
  [[noreturn]] void refuse(std::size_t at, std::string_view sentence) const {
    throw MalformedFile(-1, "read '" + std::string(source_) + "'",
                        "byte " + std::to_string(first_ + at) + ": " + std::string(sentence));
  }

 private:
  static constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
  static constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

  bool take(char c) {
    const bool here = peek() == c && at_ < text_.size();
    at_ += here;
    return here;
  }
  void expect(char c, std::string_view expected) {
    if (!take(c)) fail(expected);
  }
  void open(char c, std::string_view expected) {
    expect(c, expected);
    if (++depth_ > max_depth)
      fail_at(at_ - 1, "at most " + std::to_string(max_depth) + " levels of nesting");
  }

  /// Passes over what stands for itself in a string; returns what does not: a quote, a backslash, a
  /// byte of a longer character.
  char next_special() {
    constexpr std::uint64_t ones = 0x0101010101010101, tops = 0x80 * ones;
    const auto has_zero = [](std::uint64_t x) { return (x - ones) & ~x & tops; };
    for (; at_ + 8 <= text_.size(); at_ += 8) {  // eight at a time
      std::uint64_t x;
      std::memcpy(&x, text_.data() + at_, 8);
      const std::uint64_t control = (x - 0x20 * ones) & ~x & tops;
      if ((has_zero(x ^ '"' * ones) | has_zero(x ^ '\\' * ones) | control | (x & tops)) != 0) break;
    }
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"' || c == '\\' || static_cast<signed char>(c) < 0x20) return c;
    }
    fail("the quote that ends a string");
  }
  std::size_t special_length() const {
    const std::string_view rest = text_.substr(at_);
    if (rest[0] == '\\') {
      if (const std::size_t n = detail::json_escape(rest).length; n != 0) return n;
      fail("an escape that JSON has");
    }
    if (static_cast<unsigned char>(rest[0]) < 0x20) fail("a character that a string may hold");
    if (const std::size_t n = utf8_length(rest); n != 0) return n;
    fail("a character of UTF-8");
  }

  void word(std::string_view w) {
    if (!text_.substr(at_).starts_with(w)) fail("a value");
    at_ += w.size();
  }
  void digits() {
    if (at_ == text_.size() || !is_digit(text_[at_])) fail("a digit");
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  }
  void skip_number() {
    const auto is = [&](char c) { return at_ < text_.size() && text_[at_] == c; };
    if (is('-')) ++at_;
    if (is('0'))
      ++at_;
    else
      digits();
    if (is('.')) {
      ++at_;
      digits();
    }
    if (is('e') || is('E')) {
      ++at_;
      if (is('+') || is('-')) ++at_;
      digits();
    }
  }

  [[noreturn]] void fail(std::string_view expected) const { fail_at(at_, expected); }
  [[noreturn]] void fail_at(std::size_t at, std::string_view expected) const {
    std::string sentence = "expected " + std::string(expected) + ", found ";
    if (at >= text_.size()) {
      sentence += "the end of the text";
    } else if (text_[at] > 0x20 && text_[at] < 0x7f) {
      sentence.append("'").append(1, text_[at]).append("'");
    } else {
      constexpr std::string_view hex = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(text_[at]);
      sentence.append("byte 0x").append(1, hex[byte >> 4]).append(1, hex[byte & 15]);
    }
    refuse(at, sentence);
  }

  std::string_view text_, source_;
  std::uint64_t first_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace cohort::io
