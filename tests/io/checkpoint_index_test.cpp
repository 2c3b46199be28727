// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/checkpoint_index_test.cpp: whole tensors out of all ranks' pieces, or what is wrong with them.
#include <cohort/io/checkpoint_index.hpp>
#include <cohort/io/checkpoint_part_writer.hpp>

#include <cstring>

#include "files.hpp"

using namespace cohort;
using namespace cohort::io;
using namespace cohort::test;

namespace {

/// Element k of a tensor is its number.
float element(std::uint64_t k) { return static_cast<float>(k); }

using Pieces = std::vector<CheckpointPiece>;

/// Writes one file of floats, element k as element(k) + more, and returns what a manifest says of it.
CheckpointFile write_part(const std::filesystem::path& dir, const std::string& name,
                          const Pieces& pieces, float more = 0) {
  write_checkpoint_part(dir / name, pieces,
                        [&](std::size_t i, std::uint64_t at, std::span<std::byte> to) {
                          for (std::size_t k = 0; k < to.size(); ++k) {
                            const std::uint64_t byte = at + k;
                            const float value = element(pieces[i].first + byte / 4) + more;
                            std::byte bytes[4];
                            std::memcpy(bytes, &value, 4);
                            to[k] = bytes[byte % 4];
                          }
                        });
  return {name, std::filesystem::file_size(dir / name), CheckpointPart(dir / name).hash()};
}
/// A checkpoint of these files.
void write_all(const std::filesystem::path& dir, const std::vector<Pieces>& files) {
  Manifest manifest{{{"step", "3"}}, {}};
  for (std::size_t i = 0; i < files.size(); ++i)
    manifest.files.push_back(write_part(dir, "part-" + std::to_string(i), files[i]));
  write_atomically(dir / "checkpoint.json", to_json(manifest));
}
CheckpointPiece piece(const char* name, std::vector<std::uint64_t> extents, std::uint64_t first,
                      std::uint64_t count, StoredType type = StoredType::F32) {
  return {name, type, std::move(extents), first, count};
}
/// What an index of this says when it is made.
std::string said(const std::filesystem::path& dir) {
  return message<MalformedFile>([&] { CheckpointIndex index(dir); });
}
std::string said(const std::vector<Pieces>& files) {
  const TemporaryDirectory dir;
  write_all(dir.path(), files);
  return said(dir.path());
}
bool has(const std::string& text, const std::string& words) {
  const bool there = text.find(words) != std::string::npos;
  if (!there) MESSAGE(text);
  return there;
}
/// Elements [first, first + count) as index.read gives them.
std::vector<float> read(CheckpointIndex& index, const char* name, std::uint64_t first,
                        std::uint64_t count) {
  std::vector<float> out;
  index.read(*index.find(name), first, count,
             [&](std::uint64_t at, std::span<const std::byte> bytes) {
               CHECK(at == out.size());
               CHECK(bytes.size() <= checkpoint_block);
               out.resize(out.size() + bytes.size() / 4);
               std::memcpy(out.data() + at, bytes.data(), bytes.size());
             });
  return out;
}
bool counts_from(const std::vector<float>& values, std::uint64_t first, std::uint64_t count) {
  bool right = values.size() == count;
  for (std::size_t k = 0; right && k < count; ++k) right = values[k] == element(first + k);
  return right;
}

TEST_CASE("checkpoint index: any range of a tensor, across the parts of any ranks") {
  const TemporaryDirectory dir;
  write_all(dir.path(), {{piece("w", {4, 5}, 13, 7), piece("b", {3}, 0, 3)},
                         {},
                         {piece("w", {4, 5}, 0, 1)},
                         {piece("w", {4, 5}, 1, 12)}});
  CheckpointIndex index(dir.path());
  CHECK(index.path() == dir.path().string());
  CHECK(index.manifest().facts.at("step") == "3");
  CHECK(index.tensors().size() == 2);
  CHECK(index.find("c") == nullptr);
  CHECK(index.find("w")->extents == std::vector<std::uint64_t>{4, 5});
  CHECK(index.find("w")->parts.size() == 3);
  for (std::uint64_t first = 0; first <= 20; ++first)
    for (std::uint64_t count = 0; first + count <= 20; ++count)
      CHECK(counts_from(read(index, "w", first, count), first, count));
  CHECK(counts_from(read(index, "b", 1, 2), 1, 2));
}

TEST_CASE("checkpoint index: ranges longer than a block arrive in order") {
  const TemporaryDirectory dir;
  constexpr std::uint64_t n = checkpoint_block / 4, all = 5 * n / 2;
  write_all(dir.path(), {{piece("w", {all}, 0, n + 3)}, {piece("w", {all}, n + 3, all - n - 3)}});
  CheckpointIndex index(dir.path());
  CHECK(counts_from(read(index, "w", 0, all), 0, all));
  CHECK(counts_from(read(index, "w", 7, 2 * n), 7, 2 * n));
  CHECK(counts_from(read(index, "w", all - 1, 1), all - 1, 1));
}

TEST_CASE("checkpoint index: a hole, an overlap and a missing end are named") {
  CHECK(has(said({{piece("w", {10}, 0, 4)}, {piece("w", {10}, 6, 4)}}),
            "elements 4 to 6 of 'w' are in no file"));
  CHECK(has(said({{piece("w", {10}, 2, 8)}}), "elements 0 to 2 of 'w' are in no file"));
  CHECK(has(said({{piece("w", {10}, 0, 6)}, {piece("w", {10}, 4, 6)}}),
            "elements 4 to 6 of 'w' are in two files"));
  CHECK(has(said({{piece("w", {10}, 0, 10)}, {piece("w", {10}, 0, 10)}}),
            "elements 0 to 10 of 'w' are in two files"));
  CHECK(has(said({{piece("w", {10}, 0, 7)}}), "the last 3 elements of 'w' are in no file"));
}

TEST_CASE("checkpoint index: files that disagree about a tensor are named") {
  const std::string words = "the ranks' files disagree about the shape of 'w'";
  CHECK(has(said({{piece("w", {2, 5}, 0, 4)}, {piece("w", {5, 2}, 4, 6)}}), words));
  CHECK(has(said({{piece("w", {10}, 0, 4)}, {piece("w", {10, 1}, 4, 6)}}), words));
  CHECK(has(said({{piece("w", {10}, 0, 4)}, {piece("w", {10}, 4, 6, StoredType::BF16)}}), words));
  CHECK(said({{piece("w", {10}, 0, 4)}, {piece("w", {10}, 4, 6)}}) == "no error");
}

TEST_CASE("checkpoint index: every message names the checkpoint and says what to do") {
  const TemporaryDirectory dir;
  write_all(dir.path(), {{piece("w", {10}, 0, 7)}});
  CHECK(said(dir.path()) ==
        "cohort: checkpoint '" + dir.path().string() +
            "': the last 3 elements of 'w' are in no file: it is damaged or put together from "
            "several; load another one");
}

/// A checkpoint of two files.
struct Two {
  TemporaryDirectory dir;
  Pieces first{piece("w", {10}, 0, 4)}, second{piece("w", {10}, 4, 6)};
  Two() { write_all(dir.path(), {first, second}); }
};

TEST_CASE("checkpoint index: a file of another save under a listed name is refused") {
  const Two good;
  CHECK(said(good.dir.path()) == "no error");
  SUBCASE("of another step: the same pieces, other values") {
    write_part(good.dir.path(), "part-1", good.second, 0.5f);
  }
  SUBCASE("of another world: other pieces") {
    write_part(good.dir.path(), "part-1", {piece("w", {10}, 3, 7)});
  }
  SUBCASE("of another rank") {
    std::filesystem::copy_file(good.dir / "part-0", good.dir / "part-1",
                               std::filesystem::copy_options::overwrite_existing);
  }
  CHECK(has(said(good.dir.path()), "'part-1' is not the file that the manifest lists"));
}

TEST_CASE("checkpoint index: a missing or cut file, and a missing or damaged manifest") {
  const Two good;
  SUBCASE("no file") {
    std::filesystem::remove(good.dir / "part-1");
    CHECK(has(message<ReadFailed>([&] { CheckpointIndex index(good.dir.path()); }),
              "open '" + (good.dir / "part-1").string() + "': No such file"));
  }
  SUBCASE("cut off") {
    std::filesystem::resize_file(good.dir / "part-1",
                                 std::filesystem::file_size(good.dir / "part-1") - 1);
    CHECK(has(said(good.dir.path()), "part-1"));
  }
  SUBCASE("no manifest") {
    std::filesystem::remove(good.dir / "checkpoint.json");
    CHECK_THROWS_AS(CheckpointIndex(good.dir.path()), ReadFailed);
  }
  SUBCASE("a manifest with another number") {
    std::string text = bytes_of(good.dir / "checkpoint.json");
    text[text.find("\"3\"") + 1] = '4';
    put_bytes(good.dir / "checkpoint.json", text);
    CHECK(has(said(good.dir.path()), "checksum"));
  }
}

TEST_CASE("checkpoint index: a block that was damaged later is found by whoever reads from it") {
  const Two good;
  const File file = File::to_change(good.dir / "part-1");
  const std::byte other{0x7f};
  file.write(file.size() - 1, {&other, 1});
  CheckpointIndex index(good.dir.path());  // reads headers only
  CHECK(counts_from(read(index, "w", 0, 4), 0, 4));
  CHECK_THROWS_AS(read(index, "w", 0, 5), MalformedFile);
  CHECK(counts_from(read(index, "w", 1, 3), 1, 3));
}

}  // namespace
