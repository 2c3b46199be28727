// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/direct_writer_test.cpp: pages are written past the page cache or through it, and are the same.
#include <cohort/io/direct_writer.hpp>

#include <cerrno>
#include <cohort/io/page_memory.hpp>
#include <vector>

#include "files.hpp"
#include "support/failing_files.hpp"

using namespace cohort;
using namespace cohort::io;
using namespace cohort::test;

namespace {

/// Pages that differ, on a page.
struct Pages {
  PageMemory memory;
  explicit Pages(std::size_t n) : memory(n * page_bytes) {
    for (std::size_t i = 0; i < memory.size(); ++i)
      memory.bytes()[i] = static_cast<std::byte>(i * 131 >> 3);
  }
  std::span<const std::byte> part(std::size_t first, std::size_t n) const {
    return memory.bytes().subspan(first * page_bytes, n * page_bytes);
  }
  std::string text() const {
    return {reinterpret_cast<const char*>(memory.bytes().data()), memory.size()};
  }
};
bool is_direct(const File& file) { return (::fcntl(file.descriptor(), F_GETFL) & O_DIRECT) != 0; }

}  // namespace

TEST_CASE("DirectWriter: pages in any order, then other writes, are what the file holds") {
  const TemporaryDirectory dir;
  const Pages pages(9);
  const File file = File::to_write(dir / "f");
  DirectWriter writer(file);
  CHECK(is_direct(file) == writer.direct());
  writer.write(3 * page_bytes, pages.part(3, 6));
  writer.write(0, pages.part(0, 3));
  writer.write(0, {});
  const bool direct = writer.direct();
  CHECK(writer.end() == direct);
  CHECK_FALSE(is_direct(file));
  file.write(9 * page_bytes, std::as_bytes(std::span("tail", 4)));
  file.sync();
  CHECK(bytes_of(dir / "f") == pages.text() + "tail");
}

TEST_CASE(
    "DirectWriter: what the file system refuses goes through the page cache, and it says so") {
  const Pages pages(4);
  for (const int refused : {2, 3}) {  // of: open, pwrite, pwrite
    const TemporaryDirectory dir;
    FailingFiles failing(dir.path());
    failing.fail(refused, EINVAL);
    const File file = File::to_write(dir / "f");
    DirectWriter writer(file);
    if (!writer.direct()) return;  // this one refuses at once
    writer.write(0, pages.part(0, 2));
    CHECK(writer.direct() == (refused == 3));
    writer.write(2 * page_bytes, pages.part(2, 2));
    CHECK_FALSE(writer.direct());
    CHECK_FALSE(writer.end());
    CHECK_FALSE(is_direct(file));
    CHECK(bytes_of(dir / "f") == pages.text());
  }
}

TEST_CASE("DirectWriter: memory that begins no page is written all the same") {
  const TemporaryDirectory dir;
  const std::vector<std::byte> bytes(3 * page_bytes, std::byte{'x'});
  const File file = File::to_write(dir / "f");
  DirectWriter writer(file);
  writer.write(0, std::span(bytes).subspan(1, 2 * page_bytes));
  CHECK(bytes_of(dir / "f") == std::string(2 * page_bytes, 'x'));
}

TEST_CASE("DirectWriter: short and interrupted writes are carried on") {
  const Pages pages(5);
  for (const std::size_t most : {page_bytes, std::size_t{512}, std::size_t{777}, 2 * page_bytes}) {
    CAPTURE(most);
    const TemporaryDirectory dir;
    FailingFiles failing(dir.path());
    failing.shorten_writes(most);
    failing.fail(3, EINTR);
    const File file = File::to_write(dir / "f");
    DirectWriter writer(file);
    writer.write(0, pages.part(0, 5));
    CHECK(bytes_of(dir / "f") == pages.text());
  }
}

TEST_CASE("DirectWriter: errors are WriteFailed, from the first write and after a refusal") {
  const Pages pages(2);
  for (const int code : {ENOSPC, EIO}) {
    const TemporaryDirectory dir;
    FailingFiles failing(dir.path());
    failing.fail(2, code);
    const File file = File::to_write(dir / "f");
    DirectWriter writer(file);
    const std::string what = message<WriteFailed>([&] { writer.write(0, pages.part(0, 2)); });
    CHECK(what.starts_with("cohort: write '" + file.path() + "': "));
    CHECK(what.find("(" + std::to_string(code) + ")") != std::string::npos);
  }
  const TemporaryDirectory dir;
  FailingFiles failing(dir.path());
  failing.fail(2, EINVAL, true);  // not the alignment: the plain write fails too
  const File file = File::to_write(dir / "f");
  DirectWriter writer(file);
  CHECK_THROWS_AS(writer.write(0, pages.part(0, 2)), WriteFailed);
}
