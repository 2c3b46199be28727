// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/mapped_file_test.cpp: the mapping is the file; what cannot be mapped is a typed error.
#include <doctest/doctest.h>

#include <cohort/io/mapped_file.hpp>
#include <type_traits>
#include <utility>

#include "files.hpp"

using cohort::io::MappedFile;
using cohort::io::ReadFailed;
using cohort::test::message;

static_assert(std::is_nothrow_move_constructible_v<MappedFile>);
static_assert(!std::is_copy_constructible_v<MappedFile>);

TEST_CASE("MappedFile: text and bytes are the file's, also of none and of many pages") {
  const cohort::test::TemporaryDirectory folder;
  for (const std::size_t n : {0, 1, 4096, 100001}) {
    std::string text(n, '\0');
    for (std::size_t i = 0; i < n; ++i) text[i] = static_cast<char>(i * 7);
    cohort::test::put_bytes(folder / "f", text);
    const MappedFile file(folder / "f");
    CHECK(file.text() == text);
    CHECK(file.bytes().size() == n);
    CHECK(file.path() == (folder / "f").string());
  }
}

TEST_CASE("MappedFile: moves, and outlives the file's name") {
  const cohort::test::TemporaryDirectory folder;
  cohort::test::put_bytes(folder / "a", "first");
  cohort::test::put_bytes(folder / "b", "second");
  MappedFile a(folder / "a"), b(folder / "b");
  std::filesystem::remove(folder / "a");
  MappedFile c(std::move(a));
  CHECK(c.text() == "first");
  c = std::move(b);
  CHECK(c.text() == "second");
}

TEST_CASE("MappedFile: what is no file to read is ReadFailed with its path") {
  const cohort::test::TemporaryDirectory folder;
  const auto said = [](const std::filesystem::path& path) {
    return message<ReadFailed>([&] { MappedFile file(path); });
  };
  CHECK(said(folder / "none") == "cohort: open '" + (folder / "none").string() +
                                     "': No such file or directory (2); name a path that exists");
  CHECK(said(folder.path()).find("the path is a directory, not a file") != std::string::npos);
}
