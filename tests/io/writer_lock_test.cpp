// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/writer_lock_test.cpp: one has the lock, until it lets go or its process ends.
#include <doctest/doctest.h>

#include <cohort/io/writer_lock.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "support/child.hpp"
#include "support/temporary_directory.hpp"

using cohort::io::WriterLock;
using cohort::test::Child;
using cohort::test::TemporaryDirectory;
namespace fs = std::filesystem;

TEST_CASE("WriterLock: one object at a time has it; the file is made and not emptied") {
  const TemporaryDirectory root;
  std::optional<WriterLock> lock = WriterLock::take(root / "a");
  REQUIRE(lock.has_value());
  CHECK(fs::exists(root / "a"));
  CHECK_FALSE(WriterLock::take(root / "a").has_value());
  CHECK(WriterLock::take(root / "b").has_value());
  cohort::io::File::to_change(root / "a").write(0, std::as_bytes(std::span("text", 4)));
  lock.reset();
  lock = WriterLock::take(root / "a");
  CHECK(lock.has_value());
  CHECK(fs::file_size(root / "a") == 4);
}

TEST_CASE("WriterLock: a process has it until it ends, by whatever") {
  const TemporaryDirectory root;
  Child child([&](const Child& self) {
    const auto lock = WriterLock::take(root / "a");
    self.say(lock ? "mine" : "not mine");
    ::pause();
  });
  CHECK(child.hear() == "mine");
  CHECK_FALSE(WriterLock::take(root / "a").has_value());
  child.kill();
  CHECK(WriterLock::take(root / "a").has_value());
}

TEST_CASE("WriterLock: kept for the process until it is let go") {
  const TemporaryDirectory root;
  {
    auto lock = WriterLock::take(root / "a");
    REQUIRE(lock.has_value());
    WriterLock::keep("some name", std::move(*lock));
  }
  CHECK_FALSE(WriterLock::take(root / "a").has_value());
  WriterLock::let_go("another name");
  CHECK_FALSE(WriterLock::take(root / "a").has_value());
  WriterLock::let_go("some name");
  CHECK(WriterLock::take(root / "a").has_value());
}

TEST_CASE(
    "WriterLock: of a directory that is gone nobody has one, of a path that is refused it throws") {
  const TemporaryDirectory root;
  CHECK_FALSE(WriterLock::take(root / "no directory/a").has_value());
  CHECK_THROWS_WITH_AS(WriterLock::take(root.path()), doctest::Contains("Is a directory"),
                       cohort::io::WriteFailed);
}

TEST_CASE("WriterLock: the lock of a file that was replaced is not the lock of its name") {
  const TemporaryDirectory root;
  const auto old = WriterLock::take(root / "a");
  REQUIRE(old.has_value());
  fs::remove(root / "a");
  const auto fresh = WriterLock::take(root / "a");
  CHECK(fresh.has_value());
  CHECK_FALSE(WriterLock::take(root / "a").has_value());
}
