// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/manifest_test.cpp: a manifest is read as it was written, or refused.
#include <doctest/doctest.h>

#include <cohort/core/rng.hpp>
#include <cohort/io/manifest.hpp>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "support/temporary_directory.hpp"

using cohort::io::CheckpointFile;
using cohort::io::MalformedFile;
using cohort::io::Manifest;
using cohort::io::read_manifest;
using cohort::io::to_json;
using cohort::test::TemporaryDirectory;

namespace {
const Manifest example{
    {{"step", "1000"}, {"ranks", "2"}, {"note", "a \"quoted\" \\ line\n\tand \xc3\xa9"}},
    {{"rank-00000-of-00002.safetensors", 4096, 0x0123456789abcdef},
     {"rank-00001-of-00002.safetensors", 0, 1}}};

void put(const std::filesystem::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}
/// `body` with the checksum that makes it whole: for what a checksum does not find.
std::string sealed(std::string body) {
  body += "\n  ],\n  \"hash\": ";
  return body += cohort::io::detail::manifest_end(body);
}
std::string replaced(std::string text, std::string_view old, std::string_view fresh) {
  const std::size_t at = text.find(old);
  REQUIRE(at != text.npos);
  return text.replace(at, old.size(), fresh);
}
/// The example's text up to what sealed() adds.
std::string body() {
  const std::string text = to_json(example);
  return text.substr(0, text.find("\n  ],"));
}
}  // namespace

TEST_CASE("Manifest: its text is stable, and what was written is read") {
  CHECK(to_json({{{"step", "7"}, {"ranks", "1"}}, {{"a.safetensors", 12, 255}, {"b", 3, 0}}}) ==
        R"({
  "format": "cohort checkpoint 1",
  "facts": {
    "ranks": "1",
    "step": "7"
  },
  "files": [
    {"name": "a.safetensors", "bytes": "12", "header_hash": "00000000000000ff"},
    {"name": "b", "bytes": "3", "header_hash": "0000000000000000"}
  ],
  "hash": "ba4783651bf9da8a"
}
)");
  const TemporaryDirectory root;
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  for (const Manifest& each :
       {Manifest{}, example, Manifest{{{"", ""}}, {}}, Manifest{{}, {{"a", most, most}}},
        Manifest{{{"\x7f{}[],:", std::string("\0\x1f", 2)}}, {{"\"name\"", 1, 2}}}}) {
    put(root / "m", to_json(each));
    CHECK(read_manifest(root / "m") == each);
  }
}

TEST_CASE("Manifest: an independent parser reads the same") {
  const auto json = nlohmann::json::parse(to_json(example));
  CHECK(json["format"] == "cohort checkpoint 1");
  CHECK(json["facts"].get<std::map<std::string, std::string>>() == example.facts);
  REQUIRE(json["files"].size() == 2);
  CHECK(json["files"][0]["name"] == "rank-00000-of-00002.safetensors");
  CHECK(json["files"][0]["bytes"] == "4096");
  CHECK(json["files"][0]["header_hash"] == "0123456789abcdef");
}

TEST_CASE("Manifest: its hash is of the bytes before it") {
  const std::string text = to_json(example), last = "\"hash\": \"";
  const std::size_t at = text.rfind(last) + last.size() - 1;
  CHECK(text.substr(at + 1, 16) == cohort::io::detail::sixteen_digits(cohort::io::xxh64(
                                       std::as_bytes(std::span(text).first(at)))));
}

TEST_CASE("read_manifest: cut off anywhere, any bit changed, anything added: refused") {
  const TemporaryDirectory root;
  const std::string text = to_json(example);
  for (std::size_t n = 0; n < text.size(); ++n) {
    put(root / "m", text.substr(0, n));
    CHECK_THROWS_AS(read_manifest(root / "m"), MalformedFile);
  }
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string changed = text;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
    put(root / "m", changed);
    CHECK_THROWS_AS(read_manifest(root / "m"), MalformedFile);
  }
  for (const char* more : {"\n", " ", "{}", "\xff"}) {
    put(root / "m", text + more);
    CHECK_THROWS_AS(read_manifest(root / "m"), MalformedFile);
    put(root / "m", more + text);
    CHECK_THROWS_AS(read_manifest(root / "m"), MalformedFile);
  }
}

TEST_CASE("read_manifest: what is whole but not as to_json writes is refused") {
  const TemporaryDirectory root;
  const std::string good = body(), name = "rank-00001-of-00002.safetensors";
  put(root / "m", sealed(good));
  REQUIRE(read_manifest(root / "m") == example);
  for (const std::string& bad :
       {replaced(good, name, "../../etc/passwd"),
        replaced(good, name, "/etc/passwd"),
        replaced(good, name, ".."),
        replaced(good, name, "."),
        replaced(good, name, ""),
        replaced(good, name, "a\\u0000b"),
        replaced(good, name, "checkpoint.json"),
        replaced(good, name, "rank-00000-of-00002.safetensors"),  // listed twice
        replaced(good, "\"4096\"", "\"-4096\""),
        replaced(good, "\"4096\"", "\"04096\""),
        replaced(good, "\"4096\"", "4096"),
        replaced(good, "\"4096\"", "\"\""),
        replaced(good, "\"4096\"", "\"18446744073709551616\""),  // 2^64
        replaced(good, "\"0123456789abcdef\"", "\"123456789abcdef\""),
        replaced(good, "\"0123456789abcdef\"", "\"0123456789ABCDEF\""),
        replaced(good, "\"0123456789abcdef\"", "\"00123456789abcdef\""),
        replaced(good, "\"step\"", "\"ranks\""),  // a fact twice
        replaced(good, "\"1000\"", "1000"),
        replaced(good, "\"1000\"", "null"),
        replaced(good, "\"facts\"", "\"fact\""),
        replaced(good, "\"bytes\"", "\"size\""),
        replaced(good, "cohort checkpoint 1", "cohort checkpoint 2"),
        replaced(good, "{\n", "{\n  \"more\": \"x\",\n"),
        replaced(good, "  \"step\"", " \"step\""),
        std::string("{\n  \"files\": ["),
        std::string("[[[[")}) {
    put(root / "m", sealed(bad));
    CAPTURE(bad);
    CHECK_THROWS_AS(read_manifest(root / "m"), MalformedFile);
  }
}

TEST_CASE("read_manifest: messages name the file, the offence and what to do") {
  const TemporaryDirectory root;
  const std::string path = (root / "m").string();
  put(path, "");
  CHECK_THROWS_WITH_AS(
      read_manifest(path),
      ("cohort: read '" + path +
       "': it is empty: its checkpoint was never completed; use another checkpoint")
          .c_str(),
      MalformedFile);
  put(path, "{}");
  CHECK_THROWS_WITH_AS(
      read_manifest(path),
      doctest::Contains("it was cut off, damaged or edited; use another checkpoint"),
      MalformedFile);
  put(path, sealed(replaced(body(), "checkpoint 1", "checkpoint 9")));
  CHECK_THROWS_WITH_AS(
      read_manifest(path),
      doctest::Contains(
          "its format is 'cohort checkpoint 9', this version reads 'cohort checkpoint 1'"),
      MalformedFile);
  CHECK_THROWS_WITH_AS(read_manifest(root / "none"), doctest::Contains("No such file"),
                       cohort::io::ReadFailed);
}

TEST_CASE("read_manifest: a huge file is refused before it is read") {
  const TemporaryDirectory root;
  put(root / "m", "{");
  std::filesystem::resize_file(root / "m", std::uintmax_t{1} << 40);
  CHECK_THROWS_WITH_AS(read_manifest(root / "m"), doctest::Contains("larger than a manifest"),
                       MalformedFile);
}

TEST_CASE("to_json: what could not be read back is not written") {
  for (const Manifest& bad : {Manifest{{{"a", "\xff"}}, {}}, Manifest{{{"\xed\xa0\x80", "a"}}, {}},
                              Manifest{{}, {{"a/b", 0, 0}}}, Manifest{{}, {{"..", 0, 0}}},
                              Manifest{{}, {{"", 0, 0}}}, Manifest{{}, {{"checkpoint.json", 0, 0}}},
                              Manifest{{}, {{"a", 0, 0}, {"b", 0, 0}, {"a", 0, 0}}}})
    CHECK_THROWS_AS(to_json(bad), cohort::InvalidInput);
}

TEST_CASE("check_files: each file is there with its size") {
  const TemporaryDirectory root;
  put(root / "a", "12345");
  const auto check = [&](std::uint64_t bytes, const char* name) {
    cohort::io::check_files<MalformedFile>(root.path(), {{}, {{"a", 5, 0}, {name, bytes, 0}}});
  };
  put(root / "b", "123");
  CHECK_NOTHROW(check(3, "b"));
  CHECK_THROWS_WITH_AS(check(4, "b"), doctest::Contains("'b' has 3 bytes, its manifest says 4"),
                       MalformedFile);
  CHECK_THROWS_WITH_AS(check(2, "b"), doctest::Contains("'b' has 3 bytes, its manifest says 2"),
                       MalformedFile);
  CHECK_THROWS_WITH_AS(check(3, "c"), doctest::Contains("No such file"), MalformedFile);
}
