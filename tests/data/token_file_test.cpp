// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/data/token_file_test.cpp: both kinds of token files, what is refused, and who sees which tokens when.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cohort/data/loader.hpp>
#include <cohort/data/token_file.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

using namespace cohort::data;
using cohort::InvalidInput;
namespace fs = std::filesystem;
using Ints = std::vector<int>;

static_assert(BatchFill<TokenBlocks, TokenBatch> && ShapesBatch<TokenBlocks>);

namespace {
/// A fresh directory that disappears with the test.
struct Directory {
  fs::path path;
  Directory() {
    std::string name = (fs::temp_directory_path() / "cohort-tokens-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Directory() { fs::remove_all(path); }
  fs::path file(const std::string& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return path / name;
  }
};

/// 16 or 32 bits, low byte first, whatever this machine does.
template <int Bytes> void put(std::string& to, std::uint32_t value) {
  for (int i = 0; i < Bytes; ++i) to += static_cast<char>(value >> (8 * i) & 0xFF);
}
std::string raw(const Ints& tokens) {
  std::string bytes;
  for (const int t : tokens) put<2>(bytes, static_cast<std::uint32_t>(t));
  return bytes;
}
std::string llm_c(const Ints& tokens, std::uint32_t magic = 20240520, std::uint32_t version = 1,
                  int more = 0) {
  std::string bytes;
  put<4>(bytes, magic);
  put<4>(bytes, version);
  put<4>(bytes, static_cast<std::uint32_t>(static_cast<int>(tokens.size()) + more));
  bytes.resize(1024, '\0');
  return bytes + raw(tokens);
}
/// Token i is base + i: batches show where they were cut.
Ints counting(int n, int base = 0) {
  Ints tokens;
  for (int i = 0; i < n; ++i) tokens.push_back(base + i);
  return tokens;
}
std::string message(const auto& f) {
  try {
    f();
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "no InvalidInput";
}
std::string refusal(const fs::path& path, TokenFormat format = TokenFormat::detect) {
  return message([&] { TokenFile(path, format); });
}
bool says(const std::string& text, const std::string& part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) MESSAGE(text << " lacks " << part);
  return found;
}
void append(Ints& to, const Ints& from) { to.insert(to.end(), from.begin(), from.end()); }
}  // namespace

TEST_CASE("TokenFile: llm.c's and nanoGPT's files hold the same tokens") {
  const Directory d;
  const Ints tokens{0, 1, 255, 256, 50256, 65535};
  const TokenFile a(d.file("a.bin", llm_c(tokens))), b(d.file("b.bin", raw(tokens)));
  for (const TokenFile& file : {a, b, TokenFile(d.path / "a.bin", TokenFormat::llm_c),
                                TokenFile(d.path / "b.bin", TokenFormat::raw)}) {
    CHECK(Ints(file.tokens().begin(), file.tokens().end()) == tokens);
    CHECK(file.size() == 6);
  }
  CHECK(b.source() == (d.path / "b.bin").string());
  // raw is raw, whatever the bytes look like: 1024 bytes of header are 512 tokens.
  CHECK(TokenFile(d.path / "a.bin", TokenFormat::raw).size() == 518);
  CHECK(TokenFile(d.file("short.bin", raw({7}))).size() == 1);  // shorter than a magic number
}

TEST_CASE("TokenFile: what is no token file is refused with what to do") {
  const Directory d;
  const Ints tokens = counting(10);
  CHECK(says(refusal(d.path / "missing.bin"), "no such file; give the path"));
  CHECK(says(refusal(d.path), "this is a directory"));
  CHECK(says(refusal("/dev/null"), "this is a character device"));
  REQUIRE(::mkfifo((d.path / "pipe").c_str(), 0600) == 0);
  CHECK(says(refusal(d.path / "pipe"), "this is a pipe"));
  CHECK(says(refusal(d.file("empty.bin", "")), "empty (0 bytes)"));
  CHECK(says(refusal(d.file("odd.bin", raw(tokens) + "x")), "21 bytes, an odd number"));
  CHECK(says(refusal(d.file("header.bin", llm_c({}).substr(0, 100))), "after 100 of 1024 bytes"));
  CHECK(says(refusal(d.file("version.bin", llm_c(tokens, 20240520, 7))), "has version 7"));
  CHECK(says(refusal(d.file("cut.bin", llm_c(tokens, 20240520, 1, 3))),
             "promises 13 tokens of 2 bytes, and 20 bytes follow"));
  CHECK(says(refusal(d.file("longer.bin", llm_c(tokens, 20240520, 1, -3))), "promises 7 tokens"));
  CHECK(says(refusal(d.file("none.bin", llm_c(tokens, 20240520, 1, -11))), "promises -1 tokens"));
  CHECK(says(refusal(d.file("llama.bin", llm_c(tokens, 20240801, 7))),
             "begins with 20240801, and llm.c's files of 16-bit tokens with 20240520; this is "
             "another kind"));
  CHECK(says(refusal(d.file("raw.bin", raw(tokens)), TokenFormat::llm_c),
             "or read it as TokenFormat::raw"));
  if (::geteuid() != 0) {
    const fs::path secret = d.file("secret.bin", raw(tokens));
    fs::permissions(secret, fs::perms::none);
    CHECK(says(refusal(secret), "cannot be opened"));
  }
}

TEST_CASE("TokenBlocks: rows follow each other, targets are one token later") {
  const Directory d;
  const TokenBlocks fill(TokenFile(d.file("t.bin", raw(counting(13)))), 4, {.rows = 2});
  CHECK(fill.rows_per_epoch() == 3);
  CHECK(fill.batches_per_epoch() == 1);
  TokenBatch batch = fill.batch();
  CHECK(batch.samples == 2);
  CHECK(batch.tokens == 4);
  fill(0, batch);
  CHECK(batch.inputs == Ints{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(batch.targets == Ints{1, 2, 3, 4, 5, 6, 7, 8});
  fill(1, batch);  // the last row of the file, then the first again
  CHECK(batch.inputs == Ints{8, 9, 10, 11, 0, 1, 2, 3});
  CHECK(batch.targets == Ints{9, 10, 11, 12, 1, 2, 3, 4});
}

TEST_CASE("TokenBlocks: every row once an epoch, for any size") {
  const Directory d;
  for (const int size : {6, 7, 40, 41, 42, 43, 97}) {
    const TokenFile file(d.file("t.bin", llm_c(counting(size))));
    const TokenBlocks fill(file, 5, {.rows = 3});
    const std::int64_t rows = (size - 1) / 5;
    CHECK(fill.rows_per_epoch() == rows);
    TokenBatch batch = fill.batch();
    std::map<int, int> seen;  // inputs of 3 epochs: every one 3 times
    for (std::int64_t step = 0; step < rows; ++step) {
      fill(step, batch);
      for (const int t : batch.inputs) ++seen[t];
    }
    REQUIRE(static_cast<std::int64_t>(seen.size()) == rows * 5);
    for (const auto& [token, times] : seen) REQUIRE(times == 3);
  }
}

TEST_CASE("TokenBlocks: the global batch does not depend on the world that cuts it") {
  const Directory d;
  const TokenFile file(d.file("t.bin", raw(counting(1000))));
  const TokenBlocks whole(file, 7, {.rows = 12});
  for (const int world : {1, 2, 3, 4, 6, 12}) {
    for (const std::int64_t step : {0, 1, 11, 12, 1000}) {
      TokenBatch all = whole.batch();
      whole(step, all);
      Ints inputs, targets;
      for (int rank = 0; rank < world; ++rank) {
        const TokenBlocks part(file, 7, {rank, world, 12 / world});
        TokenBatch batch = part.batch();
        part(step, batch);
        append(inputs, batch.inputs);
        append(targets, batch.targets);
      }
      REQUIRE(inputs == all.inputs);
      REQUIRE(targets == all.targets);
    }
  }
}

TEST_CASE("TokenBlocks: short files, no rows and foreign tokens are refused") {
  const Directory d;
  const TokenFile file(d.file("t.bin", raw(counting(10, 95))));  // ids 95 .. 104
  CHECK(TokenBlocks(file, 9, {}).rows_per_epoch() == 1);
  CHECK(says(message([&] { TokenBlocks(file, 10, {}); }),
             "10 tokens, but rows of 10 need at least 11; give a longer file or shorter rows"));
  CHECK(says(message([&] { TokenBlocks(file, 0, {}); }), "at least 1 token"));
  CHECK_THROWS_AS(TokenBlocks(file, 2, {.rank = 1}), InvalidInput);
  const TokenBlocks fill(file, 3, {}, 100);
  TokenBatch batch = fill.batch();
  fill(0, batch);  // 95 .. 98
  CHECK(says(message([&] { fill(1, batch); }),
             "token 6 is 101, and the model has ids 0 to 99"));  // the row's largest: its target
  fill(3, batch);
  CHECK(batch.inputs == Ints{95, 96, 97});
}

TEST_CASE("TokenBlocks: the file may go away by name, loaders fill ahead") {
  const Directory d;
  const fs::path path = d.file("t.bin", llm_c(counting(31)));
  Loader loader(TokenBlocks(TokenFile(path), 3, {.rows = 2}), {.workers = 2, .count = 5});
  fs::remove(path);
  int next = 0;
  for (auto& batch : loader) {
    for (const int t : batch.inputs) CHECK(t == next++);
  }
  CHECK(next == 30);
}
