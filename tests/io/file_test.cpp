// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/file_test.cpp: files are read and written whole, replaced whole, or a typed error says why not.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cohort/io/file.hpp>
#include <csignal>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "files.hpp"
#include "support/failing_files.hpp"

using cohort::io::File;
using cohort::io::MalformedFile;
using cohort::io::ReadFailed;
using cohort::io::write_atomically;
using cohort::io::WriteFailed;
using cohort::test::bytes_of;
using cohort::test::FailingFiles;
using cohort::test::message;
using cohort::test::put_bytes;
using cohort::test::TemporaryDirectory;
namespace fs = std::filesystem;

static_assert(std::is_nothrow_move_constructible_v<File> && !std::is_copy_constructible_v<File>);
static_assert(std::is_base_of_v<cohort::InvalidInput, MalformedFile>);
static_assert(!std::is_base_of_v<cohort::InvalidInput, WriteFailed>);

namespace {

std::span<const std::byte> bytes(std::string_view s) { return std::as_bytes(std::span(s)); }
std::span<std::byte> room(std::string& s) { return std::as_writable_bytes(std::span(s)); }

std::string counted(std::size_t n) {
  std::string out(n, '\0');
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<char>(i * 131 >> 3);
  return out;
}

/// The rights of somebody else, where this process may give up its own.
class Stranger {
 public:
  Stranger() : is_(::geteuid() != 0 || ::seteuid(65534) == 0), back_(is_ && ::getuid() == 0) {}
  ~Stranger() {
    if (back_) REQUIRE(::seteuid(0) == 0);
  }
  bool is() const { return is_; }

 private:
  bool is_, back_;
};

}  // namespace

TEST_CASE("File: what was written is read, at any place and in any order") {
  const TemporaryDirectory folder;
  const std::string text = counted(100000);
  {
    File file = File::to_write(folder / "f");
    CHECK(file.path() == (folder / "f").string());
    file.write(60000, bytes(text).subspan(60000));
    file.write(0, bytes(text).first(60000));
    file.write(7, {});
    file.sync();
    file.close();
    file.close();  // nothing more to do
  }
  const File file = File::to_read(folder / "f");
  CHECK(file.size() == text.size());
  std::string back(text.size(), '\0');
  file.read(0, room(back));
  CHECK(back == text);
  std::string part(10, '\0');
  file.read(99990, room(part));
  CHECK(part == text.substr(99990));
  file.read(1u << 30, {});
}

TEST_CASE("File: to_write empties, to_change keeps, resize fills with zeros and cuts") {
  const TemporaryDirectory folder;
  put_bytes(folder / "f", "abcdef");
  {
    const File file = File::to_change(folder / "f");
    file.write(1, bytes("XY"));
    CHECK(bytes_of(folder / "f") == "aXYdef");
    file.resize(8);
    CHECK(bytes_of(folder / "f") == std::string("aXYdef\0\0", 8));
    file.resize(2);
    CHECK(bytes_of(folder / "f") == "aX");
  }
  { const File file = File::to_write(folder / "f"); }
  CHECK(bytes_of(folder / "f").empty());
}

TEST_CASE("File: moves; one that is given away is not closed twice") {
  const TemporaryDirectory folder;
  put_bytes(folder / "a", "first");
  put_bytes(folder / "b", "second");
  File a = File::to_read(folder / "a"), b = File::to_read(folder / "b");
  File c = std::move(a);
  CHECK(a.descriptor() == -1);
  c = std::move(b);
  CHECK(c.size() == 6);
  CHECK(c.path() == (folder / "b").string());
}

TEST_CASE("File: short writes are carried on") {
  const TemporaryDirectory folder;
  const std::string text = counted(1000);
  FailingFiles failing(folder.path());
  failing.shorten_writes(7);
  const File file = File::to_write(folder / "f");
  file.write(0, bytes(text));
  CHECK(failing.calls() > 1000 / 7);
  CHECK(bytes_of(folder / "f") == text);
}

TEST_CASE("File: interrupted calls are made again") {
  const TemporaryDirectory folder;
  const auto work = [&] {
    File file = File::to_write(folder / "f");
    file.write(0, bytes("text"));
    file.resize(4);
    file.sync();
    file.close();
  };
  int calls = 0;
  {
    FailingFiles counting(folder.path());
    work();
    calls = counting.calls();
  }
  REQUIRE(calls == 5);
  for (int k = 1; k <= calls; ++k) {
    CAPTURE(k);
    {
      FailingFiles failing(folder.path());
      failing.fail(k, EINTR);
      work();
      CHECK(failing.calls() == calls + (k < 5));  // an interrupted close has closed
    }
    CHECK(bytes_of(folder / "f") == "text");
  }
}

TEST_CASE("File: a file that ends too early is MalformedFile and says where") {
  const TemporaryDirectory folder;
  put_bytes(folder / "f", "abcdef");
  const File file = File::to_read(folder / "f");
  std::string back(9, '\0');
  CHECK(message<MalformedFile>([&] { file.read(2, room(back)); }) ==
        "cohort: read '" + file.path() +
            "': the file ends at byte 6, 5 bytes too early: it was cut off, or changed while it "
            "was read");
}

TEST_CASE("File: errors of the system are typed, name the path and say what to do") {
  const TemporaryDirectory folder;
  put_bytes(folder / "f", "x");
  const std::string none = (folder / "none").string(), below = (folder / "f/g").string(),
                    here = folder.path().string();
  const auto reading = [](const fs::path& path) {
    return message<ReadFailed>([&] {
      std::string one(1, '\0');
      File::to_read(path).read(0, room(one));
    });
  };
  const auto writing = [](const fs::path& path) {
    return message<WriteFailed>([&] { File::to_write(path).write(0, bytes("x")); });
  };
  CHECK(reading(none) ==
        "cohort: open '" + none + "': No such file or directory (2); name a path that exists");
  CHECK(reading(below) ==
        "cohort: open '" + below +
            "': Not a directory (20); a part of the path is a file, not a directory");
  CHECK(reading(here) ==
        "cohort: read '" + here + "': Is a directory (21); the path is a directory, not a file");
  CHECK(writing(here) ==
        "cohort: create '" + here + "': Is a directory (21); the path is a directory, not a file");
  CHECK(writing(none + "/f") ==
        "cohort: create '" + none + "/f': No such file or directory (2); name a path that exists");
  CHECK_THROWS_AS(File::to_change(none), WriteFailed);
  CHECK(!fs::exists(none));
  if (fs::exists("/dev/full"))
    CHECK(
        writing("/dev/full") ==
        "cohort: write '/dev/full': No space left on device (28); make room or name another disk");
}

TEST_CASE("File: what somebody else may not open is refused with the reason") {
  const TemporaryDirectory folder;
  put_bytes(folder / "f", "x");
  ::chmod((folder / "f").c_str(), 0);
  ::chmod(folder.path().c_str(), 0555);
  std::string read, change, create;
  {
    const Stranger stranger;
    if (!stranger.is()) return;
    read = message<ReadFailed>([&] { File::to_read(folder / "f"); });
    change = message<WriteFailed>([&] { File::to_change(folder / "f"); });
    create = message<WriteFailed>([&] { File::to_write(folder / "g"); });
  }
  ::chmod(folder.path().c_str(), 0755);
  const std::string why =
      "': Permission denied (13); ask for the right to it, or name another path";
  CHECK(read == "cohort: open '" + (folder / "f").string() + why);
  CHECK(change == "cohort: create '" + (folder / "f").string() + why);
  CHECK(create == "cohort: create '" + (folder / "g").string() + why);
}

TEST_CASE("File: a limit of sizes is WriteFailed") {
  const TemporaryDirectory folder;
  const File file = File::to_write(folder / "f");
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = 10;  // bytes: the first write fits in part
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string write = message<WriteFailed>([&] { file.write(0, bytes("0123456789abc")); });
  const std::string resize = message<WriteFailed>([&] { file.resize(11); });
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  std::signal(SIGXFSZ, handler);
  const std::string why = "': File too large (27); raise the limit of a file's size (ulimit -f)";
  CHECK(write == "cohort: write '" + file.path() + why);
  CHECK(resize == "cohort: resize '" + file.path() + why);
}

TEST_CASE("write_atomically: writes beside the file, syncs, renames, syncs the directory") {
  const TemporaryDirectory folder;
  FailingFiles failing(folder.path());
  write_atomically(folder / "f", "new");
  const std::vector<std::string> expected{"open f.tmp", "pwrite f.tmp", "fsync f.tmp",
                                          "close f.tmp", "rename f.tmp -> f"};
  const std::vector<std::string> log = failing.log();
  REQUIRE(log.size() >= 7);
  CHECK(std::vector(log.begin(), log.begin() + 5) == expected);
  CHECK(std::ranges::find(log.begin() + 5, log.end(), "fsync .") != log.end());
  CHECK(bytes_of(folder / "f") == "new");
}

TEST_CASE("write_atomically: whichever call fails, the file is the old one or the new one") {
  int calls = 0;
  {
    const TemporaryDirectory folder;
    FailingFiles counting(folder.path());
    write_atomically(folder / "f", "new");
    calls = counting.calls();
  }
  REQUIRE(calls >= 7);
  int kept = 0;
  for (int k = 1; k <= calls; ++k) {
    for (const int code : {ENOSPC, EIO, EACCES}) {
      CAPTURE(k);
      const TemporaryDirectory folder;
      write_atomically(folder / "f", "old");
      std::string what;
      {
        FailingFiles failing(folder.path());
        failing.fail(k, code);
        what = message<WriteFailed>([&] { write_atomically(folder / "f", "new"); });
      }
      const std::string now = bytes_of(folder / "f");
      CHECK((now == "old" || now == "new"));
      if (now == "old") CHECK(what.find("(" + std::to_string(code) + ")") != std::string::npos);
      kept += now == "old";
      write_atomically(folder / "f", "newer");  // and what was left behind is in nobody's way
      CHECK(bytes_of(folder / "f") == "newer");
      CHECK(!fs::exists(folder / "f.tmp"));
    }
  }
  CHECK(kept == 3 * 5);  // all up to the rename
}
