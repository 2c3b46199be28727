// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/checkpoint_part_writer_test.cpp: from any memory or an image, a rank's file has the bytes that the format says.
#include <cohort/io/checkpoint_part_writer.hpp>

#include <cerrno>
#include <cstring>

#include "files.hpp"
#include "support/failing_files.hpp"

using namespace cohort;
using namespace cohort::io;
using namespace cohort::test;

namespace {

using Bytes = std::vector<std::byte>;
using Pieces = std::vector<CheckpointPiece>;

std::vector<Bytes> contents(const Pieces& pieces) {
  std::vector<Bytes> all;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    std::vector<std::uint64_t> words(pieces[i].bytes() / 8 + 1);
    std::uint64_t state = i;  // Knuth's linear congruence: cheap also where nothing is optimised
    for (std::uint64_t& word : words)
      word = state = state * 6364136223846793005 + 1442695040888963407;
    Bytes& bytes = all.emplace_back(pieces[i].bytes());
    if (!bytes.empty()) std::memcpy(bytes.data(), words.data(), bytes.size());
  }
  return all;
}
Written write(const std::filesystem::path& path, const Pieces& pieces,
              const std::vector<Bytes>& bytes) {
  return write_checkpoint_part(path, pieces,
                               [&](std::size_t i, std::uint64_t at, std::span<std::byte> to) {
                                 std::memcpy(to.data(), bytes[i].data() + at, to.size());
                               });
}
Written write_image(const std::filesystem::path& path, const Pieces& pieces,
                    const std::vector<Bytes>& bytes) {
  const CheckpointPartLayout layout(pieces);
  const PageMemory image(layout.image_bytes());
  for (std::size_t i = 0; i < pieces.size(); ++i)
    if (!bytes[i].empty())
      std::memcpy(image.bytes().data() + layout.place(i), bytes[i].data(), bytes[i].size());
  return write_checkpoint_part(path, layout, image.bytes());
}
/// The same file by the general writer of safetensors, its hashes one by one.
std::string expected(const std::filesystem::path& path, const Pieces& pieces,
                     const std::vector<Bytes>& bytes) {
  const CheckpointPartLayout layout(pieces);
  Bytes data;
  for (const std::size_t i : layout.order())
    data.insert(data.end(), bytes[i].begin(), bytes[i].end());
  std::vector<std::uint64_t> hashes;
  for (std::size_t at = 0; at < data.size(); at += checkpoint_block)
    hashes.push_back(
        xxh64(std::span(data).subspan(at, std::min(checkpoint_block, data.size() - at))));
  std::vector<TensorData> tensors{
      {{"block_hashes", StoredType::U64, {hashes.size()}}, std::as_bytes(std::span(hashes))}};
  SafetensorsLayout::Metadata places;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    tensors.push_back({{pieces[i].name, pieces[i].type, {pieces[i].count}}, bytes[i]});
    places.emplace_back(pieces[i].name, detail::place_text(pieces[i]));
  }
  write_safetensors(path, tensors, places);
  return bytes_of(path);
}
void check_both(const Pieces& pieces) {
  const TemporaryDirectory dir;
  const auto bytes = contents(pieces);
  const std::string right = expected(dir / "right", pieces, bytes);
  write(dir / "streamed", pieces, bytes);
  CHECK(bytes_of(dir / "streamed") == right);
  write_image(dir / "image", pieces, bytes);
  CHECK(bytes_of(dir / "image") == right);
}

constexpr std::uint64_t floats = checkpoint_block / 4;

TEST_CASE("checkpoint part writer: files that end before, at and behind pages, blocks and slices") {
  for (const std::uint64_t n :
       {std::uint64_t{1}, std::uint64_t{900}, std::uint64_t{1024}, std::uint64_t{1025},
        std::uint64_t{5000}, floats - 1, floats, floats + 1, 3 * floats, 4 * floats - 1, 4 * floats,
        4 * floats + 1, 8 * floats + 1023}) {
    CAPTURE(n);
    check_both({{"a", StoredType::F32, {n}, 0, n}});
    check_both({{"a", StoredType::F32, {n}, 0, n},
                {"b", StoredType::BF16, {2, n / 2 + 1}, n / 2 + 1, n / 2}});
  }
}

TEST_CASE("checkpoint part writer: pieces that begin anywhere in a page, also where one begins") {
  bool at_page = false;
  for (std::size_t length = 3700; length < 3900; length += 8) {  // of a name that fills the header
    const Pieces pieces{{std::string(length / 2, 'n'), StoredType::F32, {3000}, 0, 3000},
                        {"one", StoredType::BF16, {1}, 0, 1}};
    const CheckpointPartLayout layout(pieces);
    at_page = at_page || layout.begin() == layout.image_begin();
    check_both(pieces);
  }
  CHECK(at_page);
}

TEST_CASE("checkpoint part writer: no pieces, empty pieces") {
  check_both({});
  check_both({{"none", StoredType::F32, {4}, 4, 0}});
}

TEST_CASE("checkpoint part writer: refusals, short and interrupted writes change no byte") {
  const TemporaryDirectory dir;
  const Pieces pieces{{"a", StoredType::F32, {9 * floats}, 0, 9 * floats - 5}};
  const auto bytes = contents(pieces);
  const std::string right = expected(dir / "right", pieces, bytes);
  for (const auto& way : {write, write_image}) {
    for (const int k : {2, 3}) {  // both write pages
      FailingFiles failing(dir.path());
      failing.fail(k, EINVAL);
      CHECK(way(dir / "part", pieces, bytes) == Written::through_page_cache);
      CHECK(bytes_of(dir / "part") == right);
    }
    for (const std::size_t most : {std::size_t{100'000}, std::size_t{1} << 20, 4096 * 37ul}) {
      FailingFiles failing(dir.path());
      failing.shorten_writes(most);
      failing.fail(3, EINTR);
      way(dir / "part", pieces, bytes);
      CHECK(bytes_of(dir / "part") == right);
    }
  }
}

TEST_CASE(
    "checkpoint part writer: every call that fails is WriteFailed; it syncs after the last write") {
  const TemporaryDirectory dir;
  const Pieces pieces{{"a", StoredType::F32, {9 * floats}, 0, 9 * floats - 5}};
  const auto bytes = contents(pieces);
  for (const auto& way : {write, write_image}) {
    int calls = 0;
    {
      FailingFiles counting(dir.path());
      way(dir / "part", pieces, bytes);
      const auto log = counting.log();
      calls = counting.calls();
      REQUIRE(log.size() >= 6);
      CHECK(log.front() == "open part");
      CHECK(log[log.size() - 3] == "pwrite part");
      CHECK(log[log.size() - 2] == "fsync part");
      CHECK(log[log.size() - 1] == "close part");
    }
    for (int k = 1; k <= calls; ++k)
      for (const int code : {ENOSPC, EIO}) {
        FailingFiles failing(dir.path());
        failing.fail(k, code);
        CHECK_THROWS_AS(way(dir / "part", pieces, bytes), WriteFailed);
      }
  }
}

TEST_CASE("checkpoint part writer: what a source throws comes through") {
  const TemporaryDirectory dir;
  CHECK_THROWS_AS(write_checkpoint_part(dir / "part", {{"a", StoredType::F32, {9}, 0, 9}},
                                        [](std::size_t, std::uint64_t, std::span<std::byte>) {
                                          throw std::runtime_error("the device is lost");
                                        }),
                  std::runtime_error);
}

TEST_CASE("name of Written: what a manifest says") {
  CHECK(name(Written::direct) == "direct");
  CHECK(name(Written::through_page_cache) == "through the page cache");
}

}  // namespace
