// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/tokens.hpp: a text of PTX as words, numbers and signs.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::ptx {

struct Token {
  std::string_view text;     // "" at the end
  std::uint32_t line = 0;    // in the text
  std::uint16_t file = 0;    // of the source, from .loc; 0: unknown
  std::uint32_t source = 0;  // its line
};

/// The words of a text. Comments, .version and its like, and sections of debugging tools are left out;
/// .file and .loc become the source's place of what follows.
class Tokens {
 public:
  explicit Tokens(std::string_view text);

  const Token& operator[](std::size_t i) const { return i < all_.size() ? all_[i] : end_; }
  std::size_t size() const { return all_.size(); }
  /// The next one after the brace that closes the one at `open`.
  std::size_t after_block(std::size_t open) const;
  /// Of the source, by the numbers of Token::file.
  const std::map<int, std::string>& files() const { return files_; }
  /// Throws Mistake "PTX line N: what".
  [[noreturn]] void refuse(std::size_t at, const std::string& what) const;
  /// Throws unless the token is this one; the index after it.
  std::size_t expect(std::size_t at, std::string_view text) const;

 private:
  std::vector<Token> all_;
  std::map<int, std::string> files_;
  Token end_;
};

/// A number as PTX writes it: decimal, 0x, octal after a 0, 0f (32 bits), 0d (64 bits), each as its bits.
/// False where it is none.
bool number(std::string_view text, std::uint64_t& bits);

}  // namespace cohort::ptx
