// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/safetensors_writer_test.cpp: the bytes are those of Python's package; errors leave nothing.
#include <doctest/doctest.h>

#include <sys/resource.h>
#include <algorithm>
#include <cerrno>
#include <cohort/io/safetensors.hpp>
#include <cohort/io/safetensors_writer.hpp>
#include <csignal>
#include <string>
#include <vector>

#include "files.hpp"
#include "support/failing_files.hpp"

using cohort::InvalidInput;
using cohort::io::Safetensors;
using cohort::io::SafetensorsLayout;
using cohort::io::StoredType;
using cohort::io::TensorData;
using cohort::io::TensorSpec;
using cohort::io::write_safetensors;
using cohort::io::WriteFailed;
using cohort::test::bytes_of;
using cohort::test::message;
using cohort::test::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

std::span<const std::byte> as_bytes(const std::string& s) { return std::as_bytes(std::span(s)); }

std::vector<TensorData> tensors_of(const Safetensors& file) {
  std::vector<TensorData> out;
  for (std::size_t i = 0; i < file.size(); ++i)
    out.push_back({{file[i].name, file[i].type, file[i].shape}, file.view(file[i])});
  return out;
}

std::string refusal(const std::vector<TensorSpec>& tensors,
                    const SafetensorsLayout::Metadata& metadata = {}) {
  return message<InvalidInput>([&] { SafetensorsLayout layout(tensors, metadata); });
}

std::size_t num_files(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE(
    "write_safetensors: the files of Python's package, byte for byte, in whatever order given") {
  const TemporaryDirectory folder;
  for (const char* name :
       {"types", "names", "shapes", "empty", "metadata", "only_metadata", "small"}) {
    CAPTURE(name);
    const std::string path =
        std::string(COHORT_TEST_DIR "/golden/safetensors/") + name + ".safetensors";
    const Safetensors golden(path);
    std::vector<TensorData> tensors = tensors_of(golden);
    const auto by_name = [](const TensorData& a, const TensorData& b) {
      return a.spec.name < b.spec.name;
    };
    for (int order = 0; order < 3; ++order) {
      write_safetensors(folder / name, tensors, golden.metadata());
      CHECK(bytes_of(folder / name) == bytes_of(path));
      if (order == 0) std::reverse(tensors.begin(), tensors.end());
      if (order == 1) std::sort(tensors.begin(), tensors.end(), by_name);
    }
  }
  CHECK(num_files(folder.path()) == 7);
}

TEST_CASE("SafetensorsLayout: the bytes that a reader of the specification expects") {
  const SafetensorsLayout layout({{"a", StoredType::F32, {2}}, {"b", StoredType::U64, {}}},
                                 {{"z", "1"}, {"a\n", "\"2\""}});
  const std::string json =
      R"({"__metadata__":{"z":"1","a\n":"\"2\""},"b":{"dtype":"U64","shape":[],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})" +
      std::string(6, ' ');
  REQUIRE(json.size() == 152);
  CHECK(layout.header() == std::string("\x98\0\0\0\0\0\0\0", 8) + json);
  CHECK(layout.offset(0) == 160 + 8);
  CHECK(layout.offset(1) == 160);
  CHECK(layout.bytes(0) == 8);
  CHECK(layout.file_bytes() == 160 + 16);
  CHECK(SafetensorsLayout({}).header() == std::string("\x08\0\0\0\0\0\0\0{}      ", 16));
  CHECK(SafetensorsLayout({}).file_bytes() == 16);
}

TEST_CASE("SafetensorsLayout: every tensor is aligned to its element") {
  std::vector<TensorSpec> tensors;
  for (int i = 0; i < cohort::io::num_stored_types; ++i) {
    const auto type = static_cast<StoredType>(i);
    for (const std::uint64_t n : {1, 3, 5, 0})
      if (n * static_cast<std::uint64_t>(bits(type)) % 8 == 0)
        tensors.push_back({std::to_string(i) + "x" + std::to_string(n), type, {n}});
  }
  const SafetensorsLayout layout(tensors);
  std::uint64_t sum = layout.header().size();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    CHECK(layout.offset(i) % std::max<std::uint64_t>(1, std::uint64_t(bits(tensors[i].type)) / 8) ==
          0);
    sum += layout.bytes(i);
  }
  CHECK(layout.file_bytes() == sum);
}

TEST_CASE("SafetensorsLayout: what no file can hold is InvalidInput") {
  const std::string start = "cohort: lay out a safetensors file: ";
  const TensorSpec a{"a", StoredType::F32, {2}};
  CHECK(refusal({a, a}) == start + "a tensor's name 'a' comes twice; give each its own");
  CHECK(refusal({a}, {{"k", "1"}, {"k", "2"}}) ==
        start + "a metadata key 'k' comes twice; give each its own");
  CHECK(refusal({{"__metadata__", StoredType::U8, {1}}}) ==
        start + "'__metadata__' is no name for a tensor: the format keeps it for texts");
  CHECK(refusal({{"a\xff", StoredType::U8, {1}}}) ==
        start + "a tensor's name is not UTF-8; encode it so");
  CHECK(refusal({}, {{"\xc3", ""}}) == start + "a metadata key is not UTF-8; encode it so");
  CHECK(refusal({}, {{"k", "\xed\xa0\x80"}}) ==
        start + "the metadata of 'k' is not UTF-8; encode it so");
  const std::uint64_t big = std::uint64_t{1} << 32;
  const std::string size = " is not a whole number of bytes, or passes the end of the largest file";
  CHECK(refusal({{"a", StoredType::U8, {big, big}}}) == start + "tensor 'a' of U8" + size);
  CHECK(refusal({{"a", StoredType::U8, {big, big, 0}}}) == start + "tensor 'a' of U8" + size);
  CHECK(refusal({{"a", StoredType::F4, {3}}}) == start + "tensor 'a' of F4" + size);
  // Each fits, but not both; 2^62 - 1 elements of 8 bits are far below 2^64 bits.
  const std::uint64_t half = std::uint64_t{1} << 60;
  std::vector<TensorSpec> eight;
  for (char c = 'a'; c < 'i'; ++c) eight.push_back({std::string(1, c), StoredType::U8, {half}});
  CHECK(refusal(eight) == start + "tensor 'h' of U8" + size);
  eight.pop_back();
  CHECK(SafetensorsLayout(eight).file_bytes() > 7 * half);
  CHECK(refusal({}, {{"k", std::string(100'000'000, 'x')}}) ==
        start +
            "the header would have 100000032 bytes, above the format's limit of 100000000; write "
            "several files");
}

TEST_CASE(
    "write_safetensors: data of another size than the shape is InvalidInput before a file is "
    "made") {
  const TemporaryDirectory folder;
  const std::string seven(7, 'x');
  CHECK(message<InvalidInput>([&] {
          write_safetensors(folder / "f", {{{"a", StoredType::F32, {2}}, as_bytes(seven)}});
        }) == "cohort: write '" + (folder / "f").string() +
                  "': tensor 'a' takes 8 bytes by its shape; give these, not 7");
  CHECK(num_files(folder.path()) == 0);
}

TEST_CASE(
    "write_safetensors: replaces a file whole; when it cannot, the old file stays and nothing "
    "else") {
  const TemporaryDirectory folder;
  const std::string old(40, 'o'), data(4000, 'n');
  const auto write = [&](const std::string& bytes) {
    write_safetensors(folder / "f", {{{"a", StoredType::U8, {bytes.size()}}, as_bytes(bytes)}});
  };
  write(old);
  const std::string before = bytes_of(folder / "f");
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = limit;
  small.rlim_cur = 2000;  // bytes: half of the new file
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string what = message<WriteFailed>([&] { write(data); });
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK(what.find("File too large (27); raise the limit") != std::string::npos);
  CHECK(bytes_of(folder / "f") == before);
  CHECK(num_files(folder.path()) == 1);
  write(data);
  CHECK(Safetensors(folder / "f").find("a")->bytes() == 4000);
  CHECK(num_files(folder.path()) == 1);
  CHECK_THROWS_AS(write_safetensors(folder / "none/f", {}), WriteFailed);
}

TEST_CASE(
    "write_safetensors: syncs before it renames; whichever call fails, the file is old or new") {
  const std::string old(8, 'o'), data(16, 'n');
  const auto write = [](const fs::path& path, const std::string& bytes) {
    write_safetensors(path, {{{"a", StoredType::U8, {bytes.size()}}, as_bytes(bytes)}});
  };
  std::vector<std::string> log;
  {
    const TemporaryDirectory folder;
    cohort::test::FailingFiles files(folder.path());
    write(folder / "f", data);
    log = files.log();
  }
  const auto place = [&](const char* call) {
    const auto found = std::find(log.begin(), log.end(), call);
    REQUIRE_MESSAGE(found != log.end(), call);
    return found;
  };
  CHECK(place("fsync f.tmp") < place("rename f.tmp -> f"));
  CHECK(std::find(place("fsync f.tmp"), log.end(), "pwrite f.tmp") == log.end());
  CHECK(place("rename f.tmp -> f") < place("fsync ."));
  for (int k = 1; k <= static_cast<int>(log.size()); ++k) {
    CAPTURE(k);
    const TemporaryDirectory folder;
    write(folder / "f", old);
    {
      cohort::test::FailingFiles files(folder.path());
      files.fail(k, EIO);
      try {
        write(folder / "f", data);
      } catch (const WriteFailed&) {
      }
    }
    const std::uint64_t bytes = Safetensors(folder / "f").find("a")->bytes();
    CHECK((bytes == old.size() || bytes == data.size()));
    CHECK(num_files(folder.path()) == 1);
  }
}
