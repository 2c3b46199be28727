// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/json_test.cpp: whatever is accepted another parser accepts too; errors name the byte.
#include <doctest/doctest.h>

#include <cohort/core/rng.hpp>
#include <cohort/io/json.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "files.hpp"

using cohort::io::JsonReader;
using cohort::io::JsonString;
using cohort::io::MalformedFile;
using cohort::test::message;

namespace {
/// Does the whole text hold one value?
bool accepts(std::string_view text) {
  try {
    JsonReader json(text, "test");
    json.skip_value();
    json.end();
    return true;
  } catch (const MalformedFile&) {
    return false;
  }
}
std::string refusal(std::string_view text) {
  return message<MalformedFile>([&] {
    JsonReader json(text, "f.json");
    json.skip_value();
    json.end();
  });
}
std::string integer(std::string_view text) {
  try {
    JsonReader json(text, "test");
    const std::uint64_t value = json.unsigned_integer();
    json.end();
    return std::to_string(value);
  } catch (const MalformedFile&) {
    return "refused";
  }
}
}  // namespace

TEST_CASE("JsonReader: the caller's walk gives names and values in their order") {
  const std::string text = R"( { "b" : [ 1 , 22,333 ] ,"a\n":{} , "c":"\u00e9" } )";
  JsonReader json(text, "test");
  std::string seen;
  json.object([&](JsonString name) {
    seen += name.text() + "=";
    if (name == "b")
      return json.array([&] { seen += std::to_string(json.unsigned_integer()) + ","; });
    if (name == "c") return static_cast<void>(seen += json.string().text());
    json.object([&](JsonString) { FAIL("no member"); });
  });
  json.end();
  CHECK(seen == "b=1,22,333,a\n=c=\xc3\xa9");
}

TEST_CASE("JsonReader: integers are those of 64 bits, written in one way") {
  CHECK(integer("0") == "0");
  CHECK(integer(" 18446744073709551615 ") == "18446744073709551615");
  for (const char* text : {"18446744073709551616",
                           "18446744073709551620",
                           "99999999999999999999",
                           "36893488147419103232",
                           "00",
                           "01",
                           "-0",
                           "-1",
                           "+1",
                           "1.0",
                           "1e3",
                           "1E3",
                           "1.",
                           ".5",
                           "0x1",
                           "",
                           "a",
                           "\"1\"",
                           "1 2",
                           "1a",
                           "true",
                           "null",
                           "[1]"})
    CHECK_MESSAGE(integer(text) == "refused", text);
}

TEST_CASE(
    "JsonReader: strings hold every character of UTF-8 but controls, quotes and backslashes") {
  for (unsigned c = 0; c < 256; ++c)  // at every place in a word of eight bytes
    for (std::size_t at = 0; at < 20; ++at) {
      std::string text = "\"" + std::string(20, 'x') + "\"";
      text[1 + at] = static_cast<char>(c);
      const bool good = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
      REQUIRE(accepts(text) == good);
    }
  CHECK(accepts("\"\x7f\xc2\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\""));
  for (const char* bad :
       {"\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xc3\"", "\"\xe2\x82\"",
        "\"\x80\"", "\"\xff\"", "\"\\ud800\"", "\"\\q\"", "\"\\\""})
    CHECK_MESSAGE(!accepts(bad), bad);
}

TEST_CASE("JsonReader: values that may be left aside are still JSON") {
  for (const char* text : {"true", "false", "null", "-0", "-1.5e-10", "0.5", "1E+2", "{}", "[]",
                           "\"\"", R"([1,[2,{"a":[null,{"b":-1e5}]}],"x"])", " \t\r\n1\n"})
    CHECK_MESSAGE(accepts(text), text);
  for (const char* text : {"",
                           " ",
                           "tru",
                           "True",
                           "nul",
                           "truex",
                           "-",
                           "01",
                           "1.",
                           ".1",
                           "1e",
                           "1e+",
                           "--1",
                           "+1",
                           "- 1",
                           "\r1\r2",
                           "-\r1",
                           "1\x0e"
                           "5",
                           "{",
                           "}",
                           "[",
                           "]",
                           "[1",
                           "[1,",
                           "[1,]",
                           "[,1]",
                           "[1 2]",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{,}",
                           "{a:1}",
                           "{'a':1}",
                           "{1:1}",
                           "{\"a\":1 \"b\":2}",
                           "[}",
                           "{]",
                           "1 1",
                           "/**/1",
                           "NaN",
                           "Infinity",
                           "\xef\xbb\xbf"
                           "1",
                           "\f1",
                           "\"a",
                           "[\"a\n\"]",
                           "'a'"})
    CHECK_MESSAGE(!accepts(text), text);
}

TEST_CASE("JsonReader: nesting ends at 64 levels, long before the stack does") {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  CHECK(accepts(nested(64)));
  CHECK(!accepts(nested(65)));
  CHECK(!accepts(nested(10'000'000)));
  std::string objects;
  for (int i = 0; i < 65; ++i) objects += "{\"a\":";
  CHECK(!accepts(objects + "1" + std::string(65, '}')));
  CHECK(refusal(std::string(100, '[')) ==
        "cohort: read 'f.json': byte 64: expected at most 64 levels of nesting, found '['");
  CHECK(accepts("[" + nested(63) + "," + nested(63) + "]"));  // levels are left again
}

TEST_CASE("JsonReader: errors name the source, the byte, what was expected and what is there") {
  CHECK(refusal("{\"a\" 1}") ==
        "cohort: read 'f.json': byte 5: expected ':' after the name, found '1'");
  CHECK(refusal("{\"a\":1") ==
        "cohort: read 'f.json': byte 6: expected ',' or '}', found the end of the text");
  CHECK(refusal("[1;2]") == "cohort: read 'f.json': byte 2: expected ',' or ']', found ';'");
  CHECK(refusal("{\"\xff\":1}") ==
        "cohort: read 'f.json': byte 2: expected a character of UTF-8, found byte 0xff");
  CHECK(refusal("\"\\q\"") ==
        "cohort: read 'f.json': byte 1: expected an escape that JSON has, found '\\'");
  CHECK(refusal("[1]x") ==
        "cohort: read 'f.json': byte 3: expected the end of the text, found 'x'");
  CHECK(message<MalformedFile>([&] { JsonReader("{}", "f", 8).array([] {}); }) ==
        "cohort: read 'f': byte 8: expected an array ('['), found '{'");
}

TEST_CASE("JsonReader: reads nothing behind its text") {
  const std::string text = R"({"a":["b\u00e9\n",1.5e3,true,null,{"c":18446744073709551615}]})";
  for (std::size_t n = 0; n < text.size(); ++n) {  // the sanitizers see what lies behind
    const std::vector<char> cut(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(n));
    REQUIRE(!accepts({cut.data(), cut.size()}));
  }
  CHECK(accepts(text));
}

TEST_CASE("JsonReader: agrees with an independent parser on damaged texts") {
  const std::string good =
      R"({"a":{"dtype":"F32","shape":[2,3],"x":-1.5e+3},"\u00e9\n":[true,false,null,""],"b":0})";
  int accepted = 0;
  for (std::uint64_t seed = 0; seed < 100000; ++seed) {
    std::string text = good;
    for (std::uint32_t n = 1 + cohort::uniform_below(3, seed, 0, 0); n > 0; --n) {
      const std::size_t at = cohort::uniform_below(std::uint32_t(text.size()), seed, 1, n);
      const char c = "\"\\{}[]:,0e.-u \x1f\xc3\xa9"[cohort::uniform_below(17, seed, 2, n)];
      switch (cohort::uniform_below(3, seed, 3, n)) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        default:
          text.erase(at, 1);
      }
    }
    const bool ours = accepts(text);
    REQUIRE_MESSAGE(ours == nlohmann::json::accept(text), text);
    accepted += ours;
  }
  CHECK(accepted > 2000);  // both verdicts were met
  CHECK(accepted < 98000);
}
