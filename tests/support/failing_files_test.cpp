// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/failing_files_test.cpp: each fault is seen, at the call it was asked for.
#include "failing_files.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "support/temporary_directory.hpp"

using cohort::test::Child;
using cohort::test::FailingFiles;
using cohort::test::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {
std::string text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write_file(const std::string& path, const char* bytes, std::size_t n, bool sync) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT, 0666);
  if (file < 0) return;
  for (std::size_t at = 0; at < n;) {
    const ssize_t m = ::pwrite(file, bytes + at, n - at, static_cast<off_t>(at));
    if (m <= 0) break;
    at += static_cast<std::size_t>(m);
  }
  if (sync) ::fsync(file);
  ::close(file);
}
void sync_directory(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_DIRECTORY);
  ::fsync(file);
  ::close(file);
}
/// Whether a process that does this is killed by it.
template <class F> bool killed(F f) {
  Child child([&](const Child&) { f(); });
  child.wait();
  return child.killed();
}
}  // namespace

TEST_CASE("FailingFiles: calls below the directory are listed in order, others are not") {
  const TemporaryDirectory root, other;
  FailingFiles files(root.path());
  ::mkdir((root / "d").c_str(), 0777);
  write_file(root / "d/a", "hello", 5, true);
  write_file(other / "b", "hello", 5, true);
  ::rename((root / "d/a").c_str(), (root / "d/b").c_str());
  const int file = ::open((root / "d/b").c_str(), O_RDWR);
  CHECK(::write(file, "x", 1) == 1);
  CHECK(::ftruncate(file, 3) == 0);
  CHECK(::fdatasync(file) == 0);
  ::close(file);
  sync_directory(root.path());
  fs::remove_all(root / "d");
  fs::remove(root / "e");
  const std::vector<std::string> log = files.log();
  const std::vector<std::string> first{
      "mkdir d",           "open d/a", "pwrite d/a", "fsync d/a",     "close d/a",
      "rename d/a -> d/b", "open d/b", "write d/b",  "ftruncate d/b", "fdatasync d/b",
      "close d/b",         "open .",   "fsync .",    "close ."};
  REQUIRE(log.size() > first.size());
  CHECK(std::vector(log.begin(), log.begin() + std::ptrdiff_t(first.size())) == first);
  CHECK(std::ranges::find(log, "unlinkat d/b") != log.end());  // of std::filesystem itself
  CHECK(std::ranges::find(log, "remove e") != log.end());
  CHECK(files.calls() == static_cast<int>(log.size()));
}

TEST_CASE("FailingFiles: the call that was named fails with the errno that was named, no other") {
  for (const int code : {ENOSPC, EIO, EROFS, EDQUOT}) {
    const TemporaryDirectory root;
    FailingFiles files(root.path());
    files.fail(2, code);
    const int file = ::open((root / "a").c_str(), O_RDWR | O_CREAT, 0666);
    CHECK(::pwrite(file, "hello", 5, 0) == -1);
    CHECK(errno == code);
    CHECK(::pwrite(file, "again", 5, 0) == 5);
    CHECK(::close(file) == 0);
    CHECK(text(root / "a") == "again");
  }
}

TEST_CASE("FailingFiles: every kind of call can fail, and does nothing then; close does close") {
  const TemporaryDirectory root;
  write_file(root / "a", "hello", 5, false);
  const int file = ::open((root / "a").c_str(), O_RDWR);
  const auto fails = [&](auto call) {
    FailingFiles files(root.path());
    files.fail(1, EIO);
    errno = 0;
    return call() == -1 && errno == EIO && files.calls() == 1;
  };
  CHECK(fails([&] { return ::open((root / "b").c_str(), O_RDWR | O_CREAT, 0666); }));
  CHECK(fails([&] { return ::openat(AT_FDCWD, (root / "b").c_str(), O_RDWR | O_CREAT, 0666); }));
  CHECK(fails([&] { return ::write(file, "x", 1); }));
  CHECK(fails([&] { return ::pwrite(file, "x", 1, 0); }));
  CHECK(fails([&] { return ::pwrite64(file, "x", 1, 0); }));
  CHECK(fails([&] { return ::ftruncate(file, 0); }));
  CHECK(fails([&] { return ::fsync(file); }));
  CHECK(fails([&] { return ::fdatasync(file); }));
  CHECK(fails([&] { return ::rename((root / "a").c_str(), (root / "b").c_str()); }));
  CHECK(fails([&] { return ::mkdir((root / "b").c_str(), 0777); }));
  CHECK(fails([&] { return ::unlink((root / "a").c_str()); }));
  CHECK(fails([&] { return ::unlinkat(AT_FDCWD, (root / "a").c_str(), 0); }));
  CHECK(fails([&] { return ::rmdir(root.path().c_str()); }));
  CHECK(fails([&] { return std::remove((root / "a").c_str()); }));
  CHECK(text(root / "a") == "hello");
  CHECK_FALSE(fs::exists(root / "b"));
  CHECK(fails([&] { return ::close(file); }));
  CHECK(::fcntl(file, F_GETFD) == -1);
}

TEST_CASE("FailingFiles: a lasting failure lets only what gives back succeed") {
  const TemporaryDirectory root;
  write_file(root / "a", "hello", 5, false);
  FailingFiles files(root.path());
  files.fail(2, ENOSPC, true);
  const int file = ::open((root / "a").c_str(), O_RDWR);
  CHECK(::pwrite(file, "x", 1, 0) == -1);
  CHECK(::pwrite(file, "x", 1, 0) == -1);
  CHECK(::fsync(file) == -1);
  CHECK(::close(file) == 0);
  CHECK(::unlink((root / "a").c_str()) == 0);
}

TEST_CASE("FailingFiles: writes take no more than they are allowed") {
  const TemporaryDirectory root;
  FailingFiles files(root.path());
  files.shorten_writes(3);
  write_file(root / "a", "hello world", 11, false);
  CHECK(text(root / "a") == "hello world");
  CHECK(files.calls() == 1 + 4 + 1);
}

TEST_CASE("FailingFiles: the process ends before or after the call") {
  for (const bool after : {false, true})
    for (int k = 1; k <= 5; ++k) {
      const TemporaryDirectory root;
      const bool died = killed([&] {
        FailingFiles files(root.path());
        after ? files.kill_after(k) : files.kill_before(k);
        write_file(root / "a", "hello", 5, true);
      });
      CHECK(died == (k <= 4));
      CHECK(fs::exists(root / "a") == (k + after > 1));
      CHECK(text(root / "a") == (k + after > 2 ? "hello" : ""));
    }
}

TEST_CASE("FailingFiles: a loss of power takes what was not synced, and nothing else") {
  const auto left = [](unsigned lost, bool sync_file, bool sync_name) {
    const TemporaryDirectory root;
    write_file(root / "b", "old", 3, true);
    REQUIRE(killed([&] {
      FailingFiles files(root.path());
      const int calls = 3 + sync_file + 3 * sync_name + 1;
      files.lose_power_before(calls + 1, lost);
      write_file(root / "a", "new", 3, sync_file);
      if (sync_name) sync_directory(root.path());
      ::rename((root / "a").c_str(), (root / "b").c_str());
      sync_directory(root.path());
    }));
    std::string out;
    for (const char* name : {"a", "b"})
      out += fs::exists(root / name) ? std::string(name) + "=" + text(root / name) + " " : "";
    return out;
  };
  CHECK(left(0, false, false) == "b=new ");
  CHECK(left(FailingFiles::bytes, true, false) == "b=new ");
  CHECK(left(FailingFiles::bytes, false, false) == "b= ");
  CHECK(left(FailingFiles::first_rename, true, true) == "a=new b=old ");
  CHECK(left(FailingFiles::first_rename | FailingFiles::bytes, false, true) == "a= b=old ");
  CHECK(left(FailingFiles::first_rename | FailingFiles::new_names, true, false) == "b=old ");
  CHECK(left(FailingFiles::everything, true, true) == "a=new b=old ");
}

TEST_CASE("FailingFiles: two at a time are refused") {
  const TemporaryDirectory root;
  const FailingFiles files(root.path());
  CHECK_THROWS_AS(FailingFiles(root.path()), std::logic_error);
}
