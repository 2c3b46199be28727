// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/json_string_test.cpp: escapes mean what RFC 8259 says, and strings compare by meaning.
#include <doctest/doctest.h>

#include <cohort/io/json_string.hpp>
#include <string>
#include <string_view>

using cohort::io::JsonString;
using cohort::io::detail::json_escape;

static_assert(json_escape("\\n").length == 2 && json_escape("\\n").character == '\n');
static_assert(json_escape("\\u00e9x").length == 6 && json_escape("\\u00E9").character == 0xe9);
static_assert(json_escape("\\ud83d\\ude00").character == 0x1f600);

TEST_CASE("JsonString: the eight short escapes") {
  CHECK(JsonString(R"(\"\\\/\b\f\n\r\t)", true).text() == "\"\\/\b\f\n\r\t");
  for (int c = 0; c < 256; ++c) {
    const bool known = std::string_view("\"\\/bfnrt").find(char(c)) != std::string_view::npos;
    CHECK((json_escape(std::string{'\\', char(c), '1'}).length == 2) == known);
  }
}

TEST_CASE("JsonString: \\u takes four hexadecimal digits; halves of pairs are no escape") {
  for (const std::string_view none :
       {"\\", "\\u", "\\u1", "\\u123", "\\u12g4", "\\u+123", "\\u 123", "\\ud83d", "\\ud83d\\u0041",
        "\\ud83d\\ud83d", "\\ud83dxxxxxx", "\\ude00", "\\udfff", "\\ud83d\\n", "\\ud83d\\ude0",
        "\\x41"})
    CHECK(json_escape(none).length == 0);
  CHECK(JsonString("\\u0000", true).text() == std::string(1, '\0'));
  CHECK(JsonString("\\uffff", true).text() == "\xef\xbf\xbf");
  CHECK(JsonString("\\uD7FF\\ue000", true).text() == "\xed\x9f\xbf\xee\x80\x80");
  CHECK(JsonString("\\udbff\\udfff", true).text() == "\xf4\x8f\xbf\xbf");
  CHECK(JsonString("\\ud800\\udc00", true).text() == "\xf0\x90\x80\x80");
}

TEST_CASE("JsonString: equal by meaning, however they are written") {
  const JsonString plain("a/b", false), escaped("\\u0061\\/b", true), other("\\u0061\\/c", true);
  CHECK(plain == "a/b");
  CHECK(escaped == "a/b");
  CHECK(escaped == plain);
  CHECK(!(other == plain));
  CHECK(!(escaped == "a/"));
  CHECK(JsonString("\\u0041", true) == "A");  // six bytes for one: the most there is
  CHECK(!(JsonString("\\u0041\\u0041", true) == "A"));
  CHECK(JsonString("", false) == "");
}

TEST_CASE("JsonString: in messages long ones are cut between characters") {
  CHECK(JsonString("a\\n", true).quoted() == "\"a\\n\"");
  for (std::size_t shift = 0; shift < 4; ++shift) {
    std::string text(shift, 'x');
    while (text.size() < 400) text += "\xf0\x9f\x98\x80";
    const std::string shown = JsonString(text, false).quoted();
    CHECK(shown.size() <= 120 + 5);
    CHECK(shown.size() > 116);
    CHECK(cohort::io::is_utf8(shown));
    CHECK(shown.ends_with("...\""));
  }
}
