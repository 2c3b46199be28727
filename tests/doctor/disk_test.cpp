// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/disk_test.cpp: room, kinds of file systems, writing that fails or is slow.
#include <cohort/doctor/disk.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using checkup::Disk, checkup::Room, checkup::Written;
using test::contains, test::found;

namespace {
constexpr std::uint64_t gib = std::uint64_t{1} << 30;
std::vector<Finding> of(const Disk& disk) {
  const auto all = checkup::disk(checkup::System{}, disk);
  CHECK(test::all_say_what_helps(all));
  return all;
}
}  // namespace

TEST_CASE("disk: enough and quick; little; memory; a container's layer") {
  const Written quick{"", 500};
  CHECK(worst(of({Room{100 * gib, 50 * gib}, quick, 0xef53})) == Verdict::ok);
  CHECK(found(of({Room{100 * gib, gib}, quick, 0xef53}), "room").verdict == Verdict::warning);
  CHECK(
      contains(found(of({Room{100 * gib, 50 * gib}, quick, 0x01021994}), "room").found, "memory"));
  CHECK(contains(found(of({Room{100 * gib, 50 * gib}, quick, 0x794c7630}), "room").found,
                 "container"));
}

TEST_CASE("disk: writing that is not possible, slow, or not done in time") {
  const Room room{100 * gib, 50 * gib};
  const Finding no = found(of({room, Written{"Read-only file system", 0}, 0}), "writing");
  CHECK(no.verdict == Verdict::warning);
  CHECK(contains(no.found, "Read-only"));
  CHECK(found(of({room, Written{"", 20}, 0}), "writing").verdict == Verdict::note);
  CHECK(contains(found(of({room, Written{"", 20}, 0}), "writing").fix, "save_async"));
  CHECK(found(of({room, std::nullopt, 0}), "writing").verdict == Verdict::warning);
  CHECK(of({}).size() == 1);
}

TEST_CASE("disk: a real directory is as empty as before; one that is not there, or not writable") {
  const test::TemporaryDirectory dir;
  const auto written = checkup::write_some(dir.path());
  CHECK(written.error == "");
  CHECK(written.megabytes_per_s > 0);
  CHECK(std::filesystem::is_empty(dir.path()));
  CHECK(checkup::write_some(dir / "none").error == "No such file or directory");
  CHECK_FALSE(checkup::disk_of(dir / "none").room);
  CHECK(checkup::write_some("/proc").error != "");
  checkup::System system;
  system.directory = dir / "." / "";
  const std::string text = found(checkup::disk(system), "room").found;  // in memory, or on a disk
  CHECK(contains(text, " free in " + dir.path().string()));
  CHECK_FALSE(contains(text, dir.path().string() + "/"));
}
