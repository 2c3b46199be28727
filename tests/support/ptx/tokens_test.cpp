// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/ptx/tokens_test.cpp: words, numbers and what is left out.
#include <support/ptx/harness.hpp>
#include <support/ptx/tokens.hpp>

using namespace cohort::ptx;
using cohort::ptx::test::has;
using cohort::ptx::test::mistake;

namespace {
std::vector<std::string> words(std::string_view text) {
  const Tokens tokens(text);
  std::vector<std::string> all;
  for (std::size_t i = 0; i < tokens.size(); ++i) all.emplace_back(tokens[i].text);
  return all;
}
using Words = std::vector<std::string>;
std::uint64_t value(std::string_view text) {
  std::uint64_t bits = 0;
  CHECK_MESSAGE(number(text, bits), text);
  return bits;
}
}  // namespace

TEST_CASE("Tokens: names with their dots, signs by themselves") {
  CHECK(words("@!%p1 ld.global.v2.f32 {%f1,%f2},[%rd1+-8];") ==
        Words{"@", "!", "%p1", "ld.global.v2.f32", "{", "%f1", ",", "%f2", "}", ",", "[", "%rd1",
              "+", "-", "8", "]", ";"});
  CHECK(words("$L__BB0_1: shfl.sync.up.b32 %r1|%p2") ==
        Words{"$L__BB0_1", ":", "shfl.sync.up.b32", "%r1", "|", "%p2"});
  CHECK(words("ld.global.L1::no_allocate.b32 a") == Words{"ld.global.L1::no_allocate.b32", "a"});
  CHECK(words(".pragma \"no unroll; }\";") == Words{".pragma", "\"no unroll; }\"", ";"});
}

TEST_CASE("Tokens: comments and directives about the text are left out") {
  CHECK(words("// .entry\nret; // {\n").size() == 2);
  CHECK(words(".version 8.7\n.target sm_90a, debug\n.address_size 64\nret;").size() == 2);
  CHECK(words("a\n\t.section .debug_str\n{\n$L__info: .b8 1,0\n}\nb") == Words{"a", "b"});
  CHECK(words("").empty());
  CHECK(words("a\0b\0") == Words{"a"});  // a literal ends at its first zero
  CHECK(words(std::string_view("a\0b\0", 4)) == Words{"a", "b"});
}

TEST_CASE("Tokens: the line of the text, and the source's by .loc and .file") {
  const Tokens tokens(
      "one\n.file\t3 \"/src/a b.hpp\", 16, 20\n\n.loc\t3 41 7\ntwo\n"
      ".loc\t1 9 2, function_name $L__info_string0, inlined_at 3 41 7\n"
      "three // .loc 5 5 5\n.section .debug\n{\n\n}\nfour");
  CHECK(tokens[0].line == 1);
  CHECK(tokens[0].file == 0);
  CHECK(tokens[1].line == 5);
  CHECK(tokens[1].file == 3);
  CHECK(tokens[1].source == 41);
  CHECK(tokens[2].line == 7);
  CHECK(tokens[2].file == 1);
  CHECK(tokens[2].source == 9);
  CHECK(tokens[3].text == "four");
  CHECK(tokens[3].line == 12);
  CHECK(tokens.files().at(3) == "/src/a b.hpp");
  CHECK(tokens[4].text == "");  // beyond the end
}

TEST_CASE("Tokens: blocks, and what is missing") {
  const Tokens tokens("a {\n b { c }\n } d {\n e");
  CHECK(tokens[tokens.after_block(1)].text == "d");
  CHECK(tokens[tokens.after_block(3)].text == "}");
  CHECK(mistake([&] { tokens.after_block(8); }) ==
        "PTX line 3: the block that begins here does not end");
  CHECK(tokens.expect(1, "{") == 2);
  CHECK(mistake([&] { tokens.expect(2, "["); }) == "PTX line 2: '[' is missing before 'b'");
  CHECK(mistake([&] { tokens.expect(10, "}"); }) == "PTX line 4: '}' is missing before ''");
}

TEST_CASE("number: decimal, hexadecimal, octal, and the bits of floats") {
  CHECK(value("0") == 0);
  CHECK(value("42") == 42);
  CHECK(value("18446744073709551615") == ~std::uint64_t{0});
  CHECK(value("7U") == 7);
  CHECK(value("0xFf") == 255);
  CHECK(value("0X10U") == 16);
  CHECK(value("017") == 15);  // as C's
  CHECK(value("0f3F800000") == 0x3f800000);
  CHECK(value("0F7fc00000") == 0x7fc00000);
  CHECK(value("0d3FF0000000000000") == 0x3ff0000000000000);
  CHECK(value("0DFFF0000000000000") == 0xfff0000000000000);
  std::uint64_t bits = 0;
  for (const char* text : {"", "%r1", "x", "1.5", "0x", "0xg", "12a", "18446744073709551616", "U",
                           "0f", "089", "0f3F8", "0f3F8000000", "0d3F800000", "0f3F80000U", "-1"})
    CHECK_MESSAGE(!number(text, bits), std::string(text));
}
