// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/checkpoint_part_test.cpp: a rank's file gives back what was written, or says that it cannot.
#include <cohort/io/checkpoint_part.hpp>

#include <cohort/core/rng.hpp>
#include <cohort/io/checkpoint_part_writer.hpp>
#include <cstring>

#include "files.hpp"

using namespace cohort;
using namespace cohort::io;
using namespace cohort::test;

namespace {

using Bytes = std::vector<std::byte>;

/// Bytes of a piece: random, other ones for every piece.
Bytes random_bytes(std::uint64_t n, std::uint64_t stream) {
  Bytes out(n);
  for (std::uint64_t i = 0; i < n; i += 8) {
    const std::uint64_t bits = random_bits(5, stream, i);
    std::memcpy(out.data() + i, &bits, std::min<std::uint64_t>(8, n - i));
  }
  return out;
}
std::vector<Bytes> contents(const std::vector<CheckpointPiece>& pieces) {
  std::vector<Bytes> all;
  for (std::size_t i = 0; i < pieces.size(); ++i) all.push_back(random_bytes(pieces[i].bytes(), i));
  return all;
}
void write(const std::filesystem::path& path, const std::vector<CheckpointPiece>& pieces,
           const std::vector<Bytes>& bytes) {
  write_checkpoint_part(path, pieces,
                        [&](std::size_t i, std::uint64_t at, std::span<std::byte> to) {
                          REQUIRE(at + to.size() <= bytes[i].size());
                          std::memcpy(to.data(), bytes[i].data() + at, to.size());
                        });
}
/// The number of a piece in the file, by its name.
std::size_t find(const CheckpointPart& file, const std::string& name) {
  for (std::size_t i = 0; i < file.pieces().size(); ++i)
    if (file.pieces()[i].name == name) return i;
  FAIL("no piece ", name);
  return 0;
}
bool same_place(const CheckpointPiece& a, const CheckpointPiece& b) {
  return a.type == b.type && a.extents == b.extents && a.first == b.first && a.count == b.count;
}
void check_round_trip(const std::vector<CheckpointPiece>& pieces) {
  const TemporaryDirectory dir;
  const auto bytes = contents(pieces);
  write(dir / "part", pieces, bytes);
  const CheckpointPart file(dir / "part");
  REQUIRE(file.pieces().size() == pieces.size());
  CheckpointPart::Block block;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    CAPTURE(pieces[i].name);
    const std::size_t at = find(file, pieces[i].name);
    CHECK(same_place(file.pieces()[at], pieces[i]));
    Bytes back(bytes[i].size());
    file.read(at, 0, back, block);
    CHECK(back == bytes[i]);
    if (back.size() < 4) continue;
    Bytes middle(back.size() / 2);  // from the middle on, over block boundaries
    file.read(at, back.size() / 4, middle, block);
    CHECK(std::equal(middle.begin(), middle.end(),
                     bytes[i].begin() + static_cast<std::ptrdiff_t>(back.size() / 4)));
  }
}

constexpr std::uint64_t floats = checkpoint_block / 4;

TEST_CASE("checkpoint part: pieces that end before, at and behind a block come back") {
  for (const std::uint64_t n : {std::uint64_t{1}, floats - 1, floats, floats + 1, 2 * floats,
                                2 * floats + 1, 3 * floats - 1}) {
    CAPTURE(n);
    check_round_trip({{"a", StoredType::F32, {n}, 0, n}});
    check_round_trip({{"a", StoredType::F32, {7}, 3, 4}, {"b", StoredType::F32, {2, n}, n, n}});
  }
}

TEST_CASE("checkpoint part: types of 2, 4 and 8 bytes, an odd number of each, in any order") {
  const std::vector<CheckpointPiece> pieces{
      {"z/half", StoredType::BF16, {5, 9}, 4, 41},
      {"float", StoredType::F32, {3}, 0, 3},
      {"y/half", StoredType::F16, {700000}, 1, 699999},
      {"double", StoredType::F64, {2, 2, 2}, 7, 1},
      {"another float", StoredType::F32, {300001}, 0, 300001}};
  check_round_trip(pieces);
  check_round_trip({pieces.rbegin(), pieces.rend()});
}

TEST_CASE("checkpoint part: a rank that holds nothing writes a file all the same") {
  check_round_trip({});
  check_round_trip({{"none", StoredType::F32, {4}, 4, 0}});
}

TEST_CASE("checkpoint part: names of any letters") {
  check_round_trip({{"parameters/\"quoted\" \\ \xc3\xa9", StoredType::F32, {2}, 0, 2},
                    {"block", StoredType::F32, {2}, 0, 2}});
}

TEST_CASE("checkpoint part: files with other elements, places or names have another hash") {
  const TemporaryDirectory dir;
  const std::vector<CheckpointPiece> pieces{{"a", StoredType::F32, {9}, 2, 5}};
  auto bytes = contents(pieces);
  const auto hash = [&](const std::vector<CheckpointPiece>& p) {
    write(dir / "part", p, bytes);
    return CheckpointPart(dir / "part").hash();
  };
  const std::uint64_t first = hash(pieces);
  CHECK(hash(pieces) == first);
  CHECK(hash({{"a", StoredType::F32, {9}, 3, 5}}) != first);
  CHECK(hash({{"b", StoredType::F32, {9}, 2, 5}}) != first);
  bytes[0][3] ^= std::byte{1};
  CHECK(hash(pieces) != first);
}

TEST_CASE(
    "checkpoint part: what cannot be told from the hashes is refused before a byte is written") {
  const TemporaryDirectory dir;
  CHECK_THROWS_AS(write(dir / "x", {{"a", StoredType::U64, {1}, 0, 1}}, {Bytes(8)}), InvalidInput);
  CHECK_THROWS_AS(write(dir / "x", {{"block_hashes", StoredType::F32, {1}, 0, 1}}, {Bytes(4)}),
                  InvalidInput);
  CHECK_FALSE(std::filesystem::exists(dir / "x"));
}

// ---------------------------------------------------------------- damage

/// A file of three blocks; the last holds two bytes of b and all of c.
struct Damaged {
  TemporaryDirectory dir;
  std::vector<CheckpointPiece> pieces{{"a", StoredType::F32, {floats}, 0, floats},
                                      {"b", StoredType::BF16, {2 * floats + 1}, 0, 2 * floats + 1},
                                      {"c", StoredType::BF16, {30}, 0, 30}};
  std::vector<Bytes> bytes = contents(pieces);
  Damaged() { write(dir / "part", pieces, bytes); }

  void flip(std::uint64_t byte, int bit) const {
    const File file = File::to_change(dir / "part");
    std::byte value{};
    file.read(byte, {&value, 1});
    value ^= std::byte{1} << bit;
    file.write(byte, {&value, 1});
  }
  /// Which of a and b's first element, b's last, c's last say that the file is damaged?
  std::string verdicts() const {
    const CheckpointPart file(dir / "part");
    CheckpointPart::Block block;
    Bytes element(2);
    std::string text;
    const std::pair<const char*, std::uint64_t> asked[] = {
        {"a", 0}, {"b", 0}, {"b", 4 * floats}, {"c", 58}};
    for (const auto& [name, at] : asked) {
      const auto& expected = bytes[static_cast<std::size_t>(name[0] - 'a')];
      try {
        file.read(find(file, name), at, element, block);
        const bool right = std::equal(element.begin(), element.end(),
                                      expected.begin() + static_cast<std::ptrdiff_t>(at));
        text += right ? '.' : 'w';
      } catch (const MalformedFile&) {
        text += 'X';
      }
    }
    return text;
  }
};

TEST_CASE(
    "checkpoint part: any bit that is turned is found when its block is read, and only then") {
  const Damaged file;
  const std::uint64_t end = std::filesystem::file_size(file.dir / "part");
  const std::uint64_t header = CheckpointPart(file.dir / "part").header().size();
  REQUIRE(end == header + 3 * 8 + 2 * checkpoint_block + 2 + 60);
  CHECK(file.verdicts() == "....");
  const std::string damaged[] = {"X...", ".X..", "..XX"};
  const auto check_byte = [&](std::uint64_t byte, const std::string& expected) {
    for (int bit = 0; bit < 8; ++bit) {
      CAPTURE(byte);
      file.flip(byte, bit);
      CHECK(file.verdicts() == expected);
      file.flip(byte, bit);
    }
  };
  for (std::uint64_t k = 0; k < 24; k += 5) check_byte(header + k, damaged[k / 8]);  // hashes
  const std::uint64_t data = header + 24;
  for (const std::uint64_t at : {std::uint64_t{0}, std::uint64_t{checkpoint_block - 1}})
    check_byte(data + at, damaged[0]);
  check_byte(data + checkpoint_block, damaged[1]);
  check_byte(data + 2 * checkpoint_block - 1, damaged[1]);
  CHECK(file.verdicts() == "....");
}

TEST_CASE("checkpoint part: every single bit of a small file's hashes and data") {
  const TemporaryDirectory dir;
  const std::vector<CheckpointPiece> pieces{{"a", StoredType::F32, {11}, 0, 11},
                                            {"b", StoredType::BF16, {7}, 0, 7}};
  write(dir / "part", pieces, contents(pieces));
  std::string bytes = bytes_of(dir / "part");
  const std::size_t header = CheckpointPart(dir / "part").header().size();
  REQUIRE(bytes.size() == header + 8 + 44 + 14);
  for (std::size_t byte = header; byte < bytes.size(); ++byte)
    for (int bit = 0; bit < 8; ++bit) {
      bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << bit));
      put_bytes(dir / "part", bytes);
      bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << bit));
      const CheckpointPart file(dir / "part");
      CheckpointPart::Block block;
      Bytes two(2);
      for (std::size_t i : {0, 1}) CHECK_THROWS_AS(file.read(i, 2, two, block), MalformedFile);
    }
}

TEST_CASE("checkpoint part: what it says of a damaged block is a sentence that helps") {
  const Damaged file;
  file.flip(std::filesystem::file_size(file.dir / "part") - 1, 0);
  const CheckpointPart part(file.dir / "part");
  CheckpointPart::Block block;
  Bytes two(2);
  const std::string text =
      message<MalformedFile>([&] { part.read(find(part, "c"), 0, two, block); });
  CHECK(text.find("checkpoint file '" + (file.dir / "part").string() + "': block 2 ") !=
        std::string::npos);
  CHECK(text.find("does not have the hash it was written with") != std::string::npos);
  CHECK(text.ends_with("load another checkpoint"));
}

TEST_CASE("checkpoint part: a file that is cut off anywhere is refused") {
  const TemporaryDirectory dir;
  const std::vector<CheckpointPiece> pieces{{"a", StoredType::F32, {11}, 0, 11}};
  write(dir / "part", pieces, contents(pieces));
  const std::string bytes = bytes_of(dir / "part");
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    put_bytes(dir / "part", std::string_view(bytes).substr(0, n));
    CHECK_THROWS_AS(CheckpointPart(dir / "part"), MalformedFile);
  }
}

// ---------------------------------------------------------------- files that say other things

/// A file with one tensor of `count` elements whose place is `text`, and hashes for its blocks.
void write_place(const std::filesystem::path& path, std::optional<std::string> text,
                 std::vector<std::uint64_t> shape = {4}, StoredType type = StoredType::F32,
                 std::uint64_t hashes = 1) {
  std::uint64_t numel = 1;
  for (const std::uint64_t extent : shape) numel *= extent;
  const Bytes data(numel * static_cast<std::uint64_t>(bits(type)) / 8), zeros(hashes * 8);
  SafetensorsLayout::Metadata metadata;
  if (text) metadata.emplace_back("a", *text);
  write_safetensors(
      path, {{{"a", type, shape}, data}, {{"block_hashes", StoredType::U64, {hashes}}, zeros}},
      metadata);
}

TEST_CASE("checkpoint part: a place is two numbers and extents that the piece fits into") {
  const TemporaryDirectory dir;
  const auto said = [&](std::optional<std::string> text) {
    write_place(dir / "x", text);
    return message<MalformedFile>([&] { CheckpointPart file(dir / "x"); });
  };
  for (const char* good : {"0 of 4", "6 of 10", "6 of 2,5",
                           "18446744073709551611 of "
                           "18446744073709551615",
                           "0 of 2,2,1,1"})
    CHECK(said(good) == "no error");
  const std::string refusal =
      "cohort: checkpoint file '" + (dir / "x").string() +
      "': 'a' does not say which part of a tensor it is: the file is damaged or of another "
      "program; load another checkpoint";
  for (const char* bad : {"",
                          "0",
                          "0 of",
                          "0 of ",
                          " 0 of 4",
                          "0 of 4 ",
                          "0 of 4,",
                          "0 of ,4",
                          "0 of 4,,1",
                          "-1 of 9",
                          "+1 of 9",
                          "0 of -4",
                          "0 of 3",
                          "7 of 10",
                          "11 of 10",
                          "0 of 0",
                          "0 of 4x",
                          "0x0 of 4",
                          "0 OF 4",
                          "0 of 4, 1",
                          "18446744073709551616 of 18446744073709551615",
                          "0 of 18446744073709551616",
                          "0 of 4294967296,4294967296",
                          "0 of 4294967296,4294967297",
                          "18446744073709551615 of 10",
                          "18446744073709551612 of 18446744073709551615",
                          "1e1 of 40"})
    CHECK(said(bad) == refusal);
  CHECK(said({}) == refusal);
  CHECK(said(std::string("0 of 4\0", 7)) == refusal);
}

TEST_CASE(
    "checkpoint part: other tensors than flat ones of whole bytes, and other hashes, are refused") {
  const TemporaryDirectory dir;
  const auto said = [&](std::vector<std::uint64_t> shape, StoredType type, std::uint64_t hashes) {
    write_place(dir / "x", "0 of 8", shape, type, hashes);
    return message<MalformedFile>([&] { CheckpointPart file(dir / "x"); });
  };
  CHECK(said({4}, StoredType::F32, 1) == "no error");
  CHECK(said({2, 2}, StoredType::F32, 1).find("'a' does not say") != std::string::npos);
  CHECK(said({}, StoredType::F32, 1).find("'a' does not say") != std::string::npos);
  CHECK(said({4}, StoredType::F4, 1).find("'a' does not say") != std::string::npos);
  for (const std::uint64_t hashes : {0, 2, 3})
    CHECK(said({4}, StoredType::F32, hashes).find("its hashes do not belong to its tensors") !=
          std::string::npos);
  const Bytes four(4);
  write_safetensors(dir / "x", {{{"a", StoredType::F32, {1}}, four}}, {{"a", "0 of 1"}});
  CHECK_THROWS_AS(CheckpointPart(dir / "x"), MalformedFile);  // none at all
  write_safetensors(dir / "x", {{{"block_hashes", StoredType::F32, {1}}, four}});
  CHECK(message<MalformedFile>([&] {
          CheckpointPart file(dir / "x");
        }).find("its hashes are not a list") != std::string::npos);
}

}  // namespace
