// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/utf8_test.cpp: every character is written and read back, everything else is none.
#include <doctest/doctest.h>

#include <cohort/io/utf8.hpp>
#include <string>

using namespace cohort::io;

static_assert(utf8_length("") == 0 && utf8_length("a") == 1 && utf8_length("\xc3\xa9") == 2);
static_assert(is_utf8("") && is_utf8("a\xc3\xa9") && !is_utf8("a\xc3"));

TEST_CASE("utf8: all characters of Unicode, and no surrogate, are read back as written") {
  std::string last;
  for (std::uint32_t c = 0; c <= 0x10ffff; ++c) {
    std::string text;
    append_utf8(text, c);
    const bool surrogate = c >= 0xd800 && c <= 0xdfff;
    REQUIRE(utf8_length(text + "x") == (surrogate ? 0 : text.size()));
    if (surrogate) continue;
    // RFC 3629: the order of the bytes is the order of the characters, and the lengths are these.
    REQUIRE(text.size() == (c < 0x80 ? 1u : c < 0x800 ? 2u : c < 0x10000 ? 3u : 4u));
    if (c > 0) REQUIRE(last < text);
    last = text;
  }
}

TEST_CASE(
    "utf8: of all sequences of up to 3 bytes and all heads of 4, exactly 1112064 begin a "
    "character") {
  // 128 + 1920 + 61440 characters of 1 to 3 bytes, 1048576 of 4.
  int found = 0;
  for (unsigned a = 0; a < 256; ++a) {
    found += utf8_length(std::string(1, char(a))) == 1;
    for (unsigned b = 0; b < 256; ++b) {
      found += utf8_length(std::string{char(a), char(b)}) == 2;
      for (unsigned c = 0; c < 256; ++c) {
        const std::string three{char(a), char(b), char(c)};
        found += utf8_length(three) == 3;
        // The last byte of four is any of 64, or the sequence is none.
        if (a >= 0xf0 && utf8_length(three + '\x80') == 4) found += 64;
        if (a >= 0xf0)
          REQUIRE((utf8_length(three + '\xbf') == 4) == (utf8_length(three + '\x80') == 4));
        if (a >= 0xf0) REQUIRE((utf8_length(three + '\xc0') | utf8_length(three + '\x7f')) == 0);
      }
    }
  }
  CHECK(found == 1112064);
}
