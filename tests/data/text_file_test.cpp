// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/data/text_file_test.cpp: each bad path gets a sentence: path, finding, advice.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cohort/data/text_file.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

using cohort::InvalidInput;
using cohort::data::read_text;
namespace fs = std::filesystem;

namespace {
/// A fresh directory that disappears with the test.
struct Directory {
  fs::path path;
  Directory() {
    std::string name = (fs::temp_directory_path() / "cohort-text-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Directory() { fs::remove_all(path); }
  fs::path file(const std::string& name, const std::string& text) const {
    std::ofstream(path / name, std::ios::binary) << text;
    return path / name;
  }
};

std::string message(const fs::path& path,
                    std::uint64_t max_bytes = cohort::data::default_max_bytes) {
  try {
    read_text(path, max_bytes);
  } catch (const InvalidInput& error) {
    return error.what();
  }
  return "no error";
}
std::string sentence(const fs::path& path, const std::string& rest) {
  return "cohort: read '" + path.string() + "': " + rest;
}
}  // namespace

TEST_CASE("read_text: returns the bytes of a file, whatever they are") {
  const Directory dir;
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  CHECK(read_text(dir.file("all", all)) == all);
  CHECK(read_text(dir.file("empty", "")).empty());
  std::string large;  // crosses the reading step of 1 MiB, and ends on it
  while (large.size() < (1u << 20)) large += all;
  CHECK(read_text(dir.file("step", large)) == large);
  large += "tail";
  CHECK(read_text(dir.file("large", large)) == large);
}

TEST_CASE("read_text: reads a pipe to its end") {
  const Directory dir;
  const fs::path pipe = dir.path / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  std::thread writer([&] { std::ofstream(pipe) << "through a pipe"; });
  CHECK(read_text(pipe) == "through a pipe");
  writer.join();
}

TEST_CASE("read_text: names the path, what it found and what to do") {
  const Directory dir;
  const fs::path missing = dir.path / "missing.txt";
  CHECK(message(missing) == sentence(missing, "no such file; give the path of a text file"));
  CHECK(message(dir.path) ==
        sentence(dir.path, "this is a directory; give the path of a text file"));
  CHECK(message("/dev/zero") ==
        sentence("/dev/zero", "this is a character device; give the path of a text file"));
  CHECK(message("") == sentence("", "the path is empty; give the path of a text file"));
  const fs::path below = dir.file("file", "x") / "below";
  CHECK(message(below).find("give") != std::string::npos);
  const fs::path dangling = dir.path / "dangling";
  fs::create_symlink(missing, dangling);
  CHECK(message(dangling) == sentence(dangling, "no such file; give the path of a text file"));
}

TEST_CASE("read_text: a file that cannot be opened or read is an error with the system's reason") {
  const Directory dir;
  const fs::path locked = dir.file("locked", "secret");
  fs::permissions(locked, fs::perms::none);
  if (::geteuid() != 0) {  // root reads everything
    CHECK(message(locked) == sentence(locked,
                                      "cannot be opened (Permission denied); make it readable "
                                      "for this user"));
  }
  if (fs::exists("/proc/self/mem")) {  // a file whose first byte cannot be read
    CHECK(
        message("/proc/self/mem") ==
        sentence("/proc/self/mem",
                 "reading failed after 0 bytes (Input/output error); check the file and its disk"));
  }
}

TEST_CASE("read_text: max_bytes stops a file by its size and a pipe while it runs") {
  const Directory dir;
  const fs::path huge = dir.file("huge", "");
  fs::resize_file(huge, std::uint64_t{1} << 40);  // sparse: takes no disk
  CHECK(message(huge) == sentence(huge,
                                  "the file has more than the 4294967296 bytes allowed; cut the "
                                  "file or raise max_bytes"));
  CHECK(message(dir.file("ten", "0123456789"), 9) ==
        sentence(dir.path / "ten",
                 "the file has more than the 9 bytes allowed; cut the file or raise "
                 "max_bytes"));
  CHECK(read_text(dir.path / "ten", 10) == "0123456789");
  const fs::path pipe = dir.path / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  std::thread writer([&] { std::ofstream(pipe) << "0123456789"; });
  CHECK(message(pipe, 9).find("more than the 9 bytes") != std::string::npos);
  writer.join();
}
