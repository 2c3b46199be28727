// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/data/corpus_test.cpp: vocabularies, splits and refusals of text corpora.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cohort/core/rng.hpp>
#include <cohort/data/corpus.hpp>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

using cohort::InvalidInput;
using cohort::data::CharCorpus;
using cohort::data::CorpusOptions;
using cohort::data::Split;
using enum cohort::data::Vocabulary;

namespace {
template <class F> std::string message(F f) {
  try {
    f();
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "no error";
}
std::string random_text(std::uint64_t seed, std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = char(cohort::uniform_below(256, seed, 0, i));
  return text;
}
std::string all_of(const CharCorpus& corpus) {
  std::vector<int> ids;
  for (const Split& s : {corpus.train(), corpus.validation()})
    ids.insert(ids.end(), s.tokens.begin(), s.tokens.end());
  return corpus.decode(ids);
}
}  // namespace

TEST_CASE("CharCorpus: bytes are their own ids, characters are numbered in sorted order") {
  const auto b = CharCorpus::from_text("hello world");
  CHECK(b.vocabulary() == 256);
  CHECK(b.encode("he\xff") == std::vector<int>{'h', 'e', 255});
  const auto c = CharCorpus::from_text("hello world", {.vocabulary = characters});
  CHECK(c.vocabulary() == 8);  // " dehlorw"
  CHECK(c.encode("hello") == std::vector<int>{3, 2, 4, 4, 5});
  CHECK(c.decode(c.encode("low red")) == "low red");
}

TEST_CASE("CharCorpus: UTF-8 is bytes, and bytes above 127 sort after ASCII") {
  const auto c = CharCorpus::from_text("a\xc3\xa9z", {.vocabulary = characters});
  CHECK(c.vocabulary() == 4);
  CHECK(c.encode("a\xc3\xa9z") == std::vector<int>{0, 3, 2, 1});
}

TEST_CASE("CharCorpus: training takes int(n * train_fraction) tokens, validation the rest") {
  // int(n * 0.9) in double precision, as CPython evaluates it.
  struct Case {
    std::size_t n, train;
  };
  for (const auto [n, train] :
       {Case{1, 0}, {2, 1}, {10, 9}, {11, 9}, {70, 63}, {1115394, 1003854}}) {
    const auto c = CharCorpus::from_text(std::string(n, 'x'));
    CHECK(c.train().tokens.size() == train);
    CHECK(c.validation().tokens.size() == n - train);
  }
  const auto c = CharCorpus::from_text("0123456789", {.train_fraction = 0.35});
  CHECK(c.train().tokens.back() == '2');
  CHECK(c.validation().tokens.front() == '3');
  CHECK(CharCorpus::from_text("abc", {.train_fraction = 1.0}).validation().tokens.empty());
}

TEST_CASE("CharCorpus: tokens decode to the text, whatever the bytes") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const std::string text = random_text(seed, 1 + cohort::uniform_below(400, seed, 1, 0));
    for (const auto v : {bytes, characters}) {
      const double fraction = 1.0 - cohort::uniform01(seed, 2, 0);
      const auto c = CharCorpus::from_text(text, {fraction, v});
      REQUIRE(c.size() == text.size());
      REQUIRE(all_of(c) == text);
      REQUIRE(c.decode(c.encode(text)) == text);
      REQUIRE_NOTHROW(c.require_vocabulary(c.vocabulary()));
    }
  }
}

TEST_CASE("CharCorpus: a file is read as it is") {
  std::string name = (std::filesystem::temp_directory_path() / "cohort-corpus-XXXXXX").string();
  const int fd = ::mkstemp(name.data());
  REQUIRE(fd >= 0);
  ::close(fd);
  const std::string text = "line\r\n\xef\xbb\xbf\0end\n" + random_text(3, 5000);
  std::ofstream(name, std::ios::binary) << text;
  const auto c = CharCorpus::from_file(name);
  CHECK(all_of(c) == text);
  CHECK(c.source() == name);
  std::ofstream(name, std::ios::trunc).close();
  CHECK(message([&] { CharCorpus::from_file(name); }) ==
        "cohort: corpus '" + name + "': the text is empty (0 bytes); give a text to train on");
  std::filesystem::remove(name);
  CHECK(message([&] { CharCorpus::from_file(name); }) ==
        "cohort: read '" + name + "': no such file; give the path of a text file");
}

TEST_CASE("CharCorpus: a model with too few ids is told which characters have none") {
  const auto c = CharCorpus::from_text("abcd\n", {.vocabulary = characters});
  CHECK_NOTHROW(c.require_vocabulary(5));
  CHECK(message([&] { c.require_vocabulary(3); }) ==
        "cohort: corpus 'text': the model has 3 token ids and the text needs 5; characters without "
        "an "
        "id: 2 ('c' 'd'); give the model's Embedding and output 5 rows or more, or clean the text");
  // Bytes: only those that occur count, so an ASCII text fits 128 ids.
  CHECK_NOTHROW(CharCorpus::from_text("plain").require_vocabulary(128));
  CHECK(message([&] {
          CharCorpus::from_text("caf\xc3\xa9").require_vocabulary(128);
        }).find("needs 196; characters without an id: 2 (0xa9 0xc3)") != std::string::npos);
  CHECK(message([&] {
          CharCorpus::from_text("0123456789").require_vocabulary(0);
        }).find("10 ('0' '1' '2' '3' '4' '5' '6' '7' ...)") != std::string::npos);
}

TEST_CASE("CharCorpus: unknown characters, ids and fractions are refused by name") {
  const auto c = CharCorpus::from_text("abc", {.vocabulary = characters});
  CHECK(message([&] { c.encode("a\n"); }) ==
        "cohort: corpus 'text': the character 0x0a does not occur in the text, so it has no id; "
        "leave "
        "it out or use Vocabulary::bytes");
  for (const int id : {-1, 3, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()}) {
    CHECK(message([&] { c.decode(std::vector{id}); }) ==
          "cohort: corpus 'text': id " + std::to_string(id) +
              " stands for no character; ids run from 0 to 2");
  }
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double f : {0.0, -0.1, 1.0001, nan, std::numeric_limits<double>::infinity()}) {
    CHECK(message([&] {
            CharCorpus::from_text("abc", {.train_fraction = f});
          }).find("give a number above 0 and at most 1") != std::string::npos);
  }
}

TEST_CASE("Split: a part that is too short for a row says so, naming file, part and lengths") {
  const auto c = CharCorpus::from_text(std::string(100, 'x'));
  CHECK_NOTHROW(c.train().require_block(89));
  CHECK_NOTHROW(c.validation().require_block(9));
  CHECK(message([&] { c.validation().require_block(10); }) ==
        "cohort: corpus 'text': the validation part has 10 tokens, but rows of 10 need at least "
        "11; give "
        "a longer text, another train_fraction or shorter rows");
  CHECK(message([&] {
          c.train().require_block(std::numeric_limits<int>::max());
        }).find("need at least 2147483648") != std::string::npos);
  CHECK(message([&] { c.train().require_block(0); }).find("at least 1 token; got 0") !=
        std::string::npos);
}
