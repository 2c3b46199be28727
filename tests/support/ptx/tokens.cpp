// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/tokens.cpp: where words end, and what is no part of the program.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <support/ptx/program.hpp>
#include <support/ptx/tokens.hpp>

namespace cohort::ptx {

namespace {
bool in_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' ||
         c == '.';
}
int decimal(std::string_view& words) {
  while (!words.empty() && (words.front() == ' ' || words.front() == '\t')) words.remove_prefix(1);
  int value = 0;
  const auto [end, error] = std::from_chars(words.data(), words.data() + words.size(), value);
  words.remove_prefix(static_cast<std::size_t>(end - words.data()));
  return error == std::errc{} ? value : 0;
}
}  // namespace

Tokens::Tokens(std::string_view text) {
  std::uint32_t line = 1;
  std::uint16_t file = 0;
  std::uint32_t source = 0;
  std::size_t i = 0;
  const auto rest_of_line = [&] {
    const std::size_t end = std::min(text.find('\n', i), text.size());
    const std::string_view rest = text.substr(i, end - i);
    i = end;
    return rest;
  };
  while (i < text.size()) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (std::isspace(static_cast<unsigned char>(c)) || c == '\0') {
      ++i;
    } else if (text.compare(i, 2, "//") == 0) {
      rest_of_line();
    } else if (c == '"') {
      const std::size_t end = std::min(text.find('"', i + 1), text.size() - 1);
      all_.push_back({text.substr(i, end + 1 - i), line, file, source});
      i = end + 1;
    } else if (in_word(c)) {
      const std::size_t begin = i;
      while (i < text.size() && (in_word(text[i]) || text.compare(i, 2, "::") == 0))
        i += text[i] == ':' ? 2 : 1;
      const std::string_view word = text.substr(begin, i - begin);
      if (word == ".version" || word == ".target" || word == ".address_size") {
        rest_of_line();
      } else if (word == ".file") {
        std::string_view rest = rest_of_line();
        const int n = decimal(rest);
        const std::size_t open = rest.find('"');
        const std::size_t close = open == rest.npos ? open : rest.find('"', open + 1);
        if (close != rest.npos) files_[n] = rest.substr(open + 1, close - open - 1);
      } else if (word == ".loc") {
        std::string_view rest = rest_of_line();
        file = static_cast<std::uint16_t>(decimal(rest));
        source = static_cast<std::uint32_t>(decimal(rest));
      } else if (word == ".section") {
        const std::size_t end = std::min(text.find('}', i), text.size() - 1) + 1;
        line += static_cast<std::uint32_t>(
            std::count(text.begin() + static_cast<std::ptrdiff_t>(i),
                       text.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
        i = end;
      } else {
        all_.push_back({word, line, file, source});
      }
    } else {
      all_.push_back({text.substr(i++, 1), line, file, source});
    }
  }
  end_.line = line;
}

std::size_t Tokens::after_block(std::size_t open) const {
  int depth = 0;
  for (std::size_t i = open; i < size(); ++i) {
    if (all_[i].text == "{") ++depth;
    if (all_[i].text == "}" && --depth == 0) return i + 1;
  }
  refuse(open, "the block that begins here does not end");
}

void Tokens::refuse(std::size_t at, const std::string& what) const {
  throw Mistake("PTX line " + std::to_string((*this)[at].line) + ": " + what);
}

std::size_t Tokens::expect(std::size_t at, std::string_view text) const {
  if ((*this)[at].text != text)
    refuse(at,
           "'" + std::string(text) + "' is missing before '" + std::string((*this)[at].text) + "'");
  return at + 1;
}

bool number(std::string_view text, std::uint64_t& bits) {
  int base = 10;
  std::size_t from = 0;
  if (text.size() > 2 && text[0] == '0') {
    const char kind = text[1];
    const bool floating = kind == 'f' || kind == 'F' || kind == 'd' || kind == 'D';
    if (floating && text.size() != (kind == 'f' || kind == 'F' ? 10u : 18u)) return false;
    if (floating || kind == 'x' || kind == 'X') base = 16, from = 2;
  }
  if (from == 0 && text.size() > 1 && text[0] == '0') base = 8;
  std::string_view digits = text.substr(from);
  const bool digits_of_float = from == 2 && text[1] != 'x' && text[1] != 'X';
  if (!digits_of_float && !digits.empty() && (digits.back() == 'U' || digits.back() == 'u'))
    digits.remove_suffix(1);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), bits, base);
  return error == std::errc{} && end == digits.data() + digits.size() && !digits.empty();
}

}  // namespace cohort::ptx
