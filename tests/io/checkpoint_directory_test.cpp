// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/checkpoint_directory_test.cpp: whatever fails and whenever, the last checkpoint that was
// committed is there, and the next save succeeds.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cohort/io/checkpoint_directory.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "support/child.hpp"
#include "support/failing_files.hpp"
#include "support/message.hpp"
#include "support/temporary_directory.hpp"

using cohort::InvalidInput;
using cohort::io::CheckpointDirectory;
using cohort::io::File;
using cohort::io::MalformedFile;
using cohort::io::Manifest;
using cohort::io::ReadFailed;
using cohort::io::WriteFailed;
using cohort::test::Child;
using cohort::test::FailingFiles;
using cohort::test::message;
using cohort::test::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {
constexpr int ranks = 2;

/// What rank r stores at a step: other bytes at every step, `bytes` of them.
std::string contents(std::int64_t step, int rank, std::size_t bytes) {
  std::string out;
  while (out.size() < bytes) out += std::to_string(step * 100 + rank) + " ";
  out.resize(bytes);
  return out;
}
std::uint64_t hash(std::string_view text) {
  return cohort::io::xxh64(std::as_bytes(std::span(text)));
}
std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void put(const fs::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// Writes all ranks' files as a rank does: synced, each by itself.
Manifest write_files(const fs::path& to, std::int64_t step, std::size_t bytes = 100) {
  Manifest manifest{{{"step", std::to_string(step)}}, {}};
  for (int r = 0; r < ranks; ++r) {
    const std::string name = "rank-" + std::to_string(r), text = contents(step, r, bytes);
    File file = File::to_write(to / name);
    file.write(0, std::as_bytes(std::span(text)));
    file.sync();
    file.close();
    manifest.files.push_back({name, text.size(), hash(text)});
  }
  return manifest;
}
/// A whole save; `committed` is called when it must not be lost any more.
fs::path save(
    const fs::path& to, std::int64_t step, int keep, std::size_t bytes = 100,
    const std::function<void()>& committed = [] {}) {
  CheckpointDirectory directory(to);
  const fs::path temporary = directory.begin(step);
  fs::path done;
  try {
    done = directory.commit(temporary, step, write_files(temporary, step, bytes));
  } catch (...) {
    directory.discard(temporary);
    throw;
  }
  committed();
  directory.prune(keep);
  return done;
}

/// The step of a checkpoint whose every byte is what was saved; what is wrong otherwise.
std::string verified(const fs::path& checkpoint) {
  try {
    const Manifest manifest = cohort::io::read_manifest(checkpoint / "checkpoint.json");
    if (manifest.files.size() != ranks) return "not all files are listed";
    for (const auto& file : manifest.files)
      if (hash(text_of(checkpoint / file.name)) != file.header_hash) return "a file is damaged";
    return manifest.facts.at("step");
  } catch (const std::exception& e) {
    return e.what();
  }
}
/// The step that is loaded; "none", where there is nothing that could be.
std::string loaded(const fs::path& directory) {
  try {
    return verified(CheckpointDirectory(directory).latest());
  } catch (const InvalidInput&) {
    return "none";
  } catch (const ReadFailed&) {
    return "none";
  }
}
/// What `latest` itself says: "none" or the step of the complete checkpoint that it names.
std::string named(const fs::path& directory) {
  if (!fs::exists(directory / "latest")) return "none";
  std::string name = text_of(directory / "latest");
  if (!name.ends_with("\n")) return "no name";
  name.pop_back();
  return verified(directory / name);
}
std::vector<std::string> names(const fs::path& directory) {
  return cohort::io::detail::names_in(directory);
}
/// What should not be there after a save that succeeded.
std::string left_over(const fs::path& directory) {
  std::string out;
  for (const auto& each : fs::recursive_directory_iterator(directory))
    if (each.path().filename().string().find("tmp") != std::string::npos)
      out += each.path().string() + " ";
  return out;
}
/// Every directory that has a checkpoint's name is complete.
bool all_complete(const fs::path& directory) {
  std::error_code ignored;
  for (const auto& each : fs::directory_iterator(directory, ignored)) {
    const std::string name = each.path().filename().string();
    if (name.starts_with("step-") && verified(each.path()).find_first_not_of("0123456789") == 0)
      return false;
  }
  return true;
}

/// Where a save is tried: into a new directory, or one with checkpoints 1 and 2 of which 2 is the latest
/// and 1 will be pruned, beside what a crash left.
struct Scene {
  bool old;
  TemporaryDirectory root;
  fs::path directory = root / "checkpoints";

  explicit Scene(bool with_old) : old(with_old) {
    if (!old) return;
    save(directory, 1, 0);
    save(directory, 2, 0);
    fs::create_directory(directory / "tmp-step-00000003");
    put(directory / "tmp-step-00000003/rank-0", "half of it");
  }
  std::string before() const { return old ? "2" : "none"; }
  void try_save(const std::function<void()>& committed = [] {}) const {
    save(directory, 3, 2, 100, committed);
  }
  /// After any accident: the latest is whole, and saves go on.
  void check_after(bool committed) const {
    const std::string now = loaded(directory), says = named(directory);
    if (committed)
      CHECK(now == "3");
    else
      CHECK((now == before() || now == "3"));
    CHECK((says == before() || says == "3"));
    CHECK(all_complete(directory));
    CHECK_NOTHROW(save(directory, 4, 2));
    CHECK(loaded(directory) == "4");
    CHECK(named(directory) == "4");
    CHECK(left_over(directory) == "");
    CHECK(all_complete(directory));
  }
};
}  // namespace

TEST_CASE("CheckpointDirectory: the system calls of a save, in the order that makes them last") {
  for (const bool old : {true, false}) {
    const Scene scene(old);
    FailingFiles files(scene.root.path());
    scene.try_save();
    std::string order;  // without opens and closes, which order nothing
    for (std::string call : files.log()) {
      if (call.starts_with("open") || call.starts_with("close")) continue;
      for (std::size_t at; (at = call.find("checkpoints/")) != call.npos;) call.erase(at, 12);
      order += call + "\n";
    }
    const std::string tmp = "tmp-step-00000003", done = "step-00000003";
    const std::vector<std::string> first =
        old ? std::vector<std::string>{"remove " + tmp + "/rank-0",
                                       "unlink " + tmp + "/checkpoint.json", "rmdir " + tmp}
            : std::vector<std::string>{"mkdir checkpoints", "fsync ."};
    std::vector<std::string> expected = first;
    for (const std::string& call :
         {"mkdir " + tmp, "pwrite " + tmp + "/rank-0", "fsync " + tmp + "/rank-0",
          "pwrite " + tmp + "/rank-1", "fsync " + tmp + "/rank-1",
          "pwrite " + tmp + "/checkpoint.json", "fsync " + tmp + "/checkpoint.json",
          "pwrite " + tmp + "/latest.tmp", "fsync " + tmp + "/latest.tmp", "fsync " + tmp,
          "rename " + tmp + " -> " + done, std::string("fsync checkpoints"),
          "rename " + done + "/latest.tmp -> latest", std::string("fsync checkpoints")})
      expected.push_back(call);
    const std::string away = "tmp-old-step-00000001";
    if (old)
      for (const std::string& call :
           {"rename step-00000001 -> " + away, std::string("fsync checkpoints"),
            "remove " + away + "/rank-0", "remove " + away + "/rank-1",
            "unlink " + away + "/checkpoint.json", "rmdir " + away})
        expected.push_back(call);
    std::string lines;
    for (const std::string& call : expected) lines += call + "\n";
    CHECK(order == lines);
  }
}

TEST_CASE(
    "CheckpointDirectory: whichever call fails, a typed error says where and why, or it is done") {
  for (const bool old : {true, false})
    for (const int code : {ENOSPC, EIO, EROFS, EDQUOT})
      for (const bool lasting : {false, true})
        for (int k = 1, calls = k; k <= calls; ++k) {
          const Scene scene(old);
          bool committed = false;
          std::string said, call;
          {
            FailingFiles files(scene.root.path());
            files.fail(k, code, lasting);
            try {
              scene.try_save([&] { committed = true; });
            } catch (const cohort::Error& error) {
              said = error.what();
            }
            calls = files.calls();
            call = files.log()[static_cast<std::size_t>(k - 1)];
          }
          CAPTURE(k);
          CAPTURE(call);
          CAPTURE(said);
          CHECK(committed == said.empty());
          if (!said.empty()) {
            CHECK(said.find(scene.root.path().string()) != said.npos);
            CHECK(said.find(std::generic_category().message(code)) != said.npos);
          }
          scene.check_after(committed);
        }
}

TEST_CASE("CheckpointDirectory: writes that stop half-way are carried on") {
  const Scene scene(true);
  {
    FailingFiles files(scene.root.path());
    files.shorten_writes(7);
    scene.try_save();
  }
  scene.check_after(true);
}

TEST_CASE("CheckpointDirectory: calls that a signal interrupts are made again") {
  for (int k = 1, calls = k; k <= calls; ++k) {
    const Scene scene(true);
    bool committed = false;
    {
      FailingFiles files(scene.root.path());
      files.fail(k, EINTR);
      try {
        scene.try_save([&] { committed = true; });
      } catch (const cohort::Error&) {  // what no signal interrupts fails here
      }
      calls = files.calls();
      const std::string call = files.log()[static_cast<std::size_t>(k - 1)];
      CAPTURE(call);
      const bool listing = call.starts_with("openat");  // by the C++ library
      CHECK((committed || listing || call.starts_with("mkdir") || call.starts_with("rename")));
    }
    scene.check_after(committed);
  }
}

TEST_CASE(
    "CheckpointDirectory: killed at any call, the latest is whole and is the old or the new") {
  for (const bool old : {true, false})
    for (const bool after : {false, true})
      for (int k = 1; k < 1000; ++k) {
        const Scene scene(old);
        Child child([&](const Child& self) {
          FailingFiles files(scene.root.path());
          after ? files.kill_after(k) : files.kill_before(k);
          scene.try_save([&] { self.say("committed"); });
        });
        const std::string said = child.wait();
        CAPTURE(k);
        scene.check_after(said == "committed");
        if (child.killed()) continue;
        CHECK(said == "committed");
        CHECK(k > 30);
        break;
      }
}

namespace {
/// Cuts the power at every call of a save; `lost`: what of the unsynced is gone.
void cut_power(unsigned lost) {
  for (const bool old : {true, false})
    for (int k = 1; k < 1000; ++k) {
      const Scene scene(old);
      Child child([&](const Child& self) {
        FailingFiles files(scene.root.path());
        files.lose_power_before(k, lost);
        scene.try_save([&] { self.say("committed"); });
      });
      const std::string said = child.wait();
      CAPTURE(lost);
      CAPTURE(k);
      scene.check_after(said == "committed");
      if (!child.killed()) break;
    }
}
}  // namespace

TEST_CASE(
    "CheckpointDirectory: power lost at any call, one kind of the unsynced gone or all but it") {
  cut_power(FailingFiles::everything);
  for (unsigned kind = 1; kind < FailingFiles::everything; kind *= 2) {
    cut_power(kind);
    cut_power(FailingFiles::everything - kind);
  }
}

TEST_CASE("CheckpointDirectory: power lost at any call, whatever of the unsynced is gone [full]") {
  for (unsigned lost = 0; lost <= FailingFiles::everything; ++lost) cut_power(lost);
}

namespace {
/// Runs f with an empty disk of `bytes` at a directory that only this process sees. What f says is what
/// is wrong; "skip" where the system lets nobody mount.
template <class F> std::string on_small_disk(const std::string& bytes, F f) {
  const TemporaryDirectory root;
  const std::string user = "0 " + std::to_string(::geteuid()) + " 1",
                    group = "0 " + std::to_string(::getegid()) + " 1";
  Child child([&](const Child& self) {
    const bool mounted =
        ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
        (put("/proc/self/setgroups", "deny"), put("/proc/self/uid_map", user),
         put("/proc/self/gid_map", group), true) &&
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
        ::mount("none", root.path().c_str(), "tmpfs", 0, ("size=" + bytes).c_str()) == 0;
    if (!mounted) return self.say("skip");
    f(self, root.path());
  });
  const std::string said = child.wait();
  if (said == "skip") MESSAGE("skipped: this system lets no process mount a disk of its own");
  return said == "skip" ? "" : said;
}
}  // namespace

TEST_CASE("CheckpointDirectory: a full disk, at every page that may be the last") {
  const std::string wrong = on_small_disk("128k", [](const Child& self, const fs::path& disk) {
    const fs::path directory = disk / "checkpoints";
    save(directory, 1, 0, 5000);
    int refused = 0, done = 0;
    for (int pages = 32; pages >= 0; --pages) {
      {  // all of the disk but `pages` of 4096 bytes
        std::ofstream filler(disk / "filler", std::ios::binary);
        while (filler << std::string(4096, 'x') << std::flush) {
        }
      }
      const auto filled = fs::file_size(disk / "filler") / 4096;
      fs::resize_file(disk / "filler",
                      (filled - std::min<std::uintmax_t>(filled, unsigned(pages))) * 4096);
      const std::string before = named(directory);
      std::string said;
      try {
        save(directory, 100 - pages, 1, 5000);
        ++done;
      } catch (const WriteFailed& error) {
        said = error.what();
        ++refused;
        if (said.find("No space left on device (28); make room") == said.npos)
          self.say("the reason is missing: " + said + "\n");
      }
      const std::string expected = said.empty() ? std::to_string(100 - pages) : before;
      if (named(directory) != expected) self.say("latest is " + named(directory) + "\n");
      fs::remove(disk / "filler");
    }
    if (refused < 4 || done < 4) self.say("too few cases\n");
    save(directory, 200, 1, 5000);
    if (loaded(directory) != "200" || left_over(directory) != "") self.say("not well again\n");
  });
  CHECK(wrong == "");
}

TEST_CASE("CheckpointDirectory: a disk that may only be read is loaded from, and refuses saves") {
  const std::string wrong = on_small_disk("128k", [](const Child& self, const fs::path& disk) {
    save(disk / "checkpoints", 1, 0);
    if (::mount("none", disk.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0)
      return self.say("skip");
    for (const fs::path& directory : {disk / "checkpoints", disk / "new"}) {
      const std::string said = message<WriteFailed>([&] { save(directory, 2, 0); });
      if (said.find("Read-only file system (30); name a disk that can be written") == said.npos ||
          said.find(directory.string()) == said.npos)
        self.say(said + "\n");
    }
    if (loaded(disk / "checkpoints") != "1") self.say("not loaded\n");
  });
  CHECK(wrong == "");
}

TEST_CASE("CheckpointDirectory: paths that cannot be saved to say so") {
  const TemporaryDirectory root;
  put(root / "file", "");
  const auto said = [&](const fs::path& path) {
    return message<WriteFailed>([&] { CheckpointDirectory(path).begin(1); });
  };
  CHECK(said(root / "no/such") == "cohort: make directory '" + (root / "no/such").string() +
                                      "': its parent directory is not there: make it first, or "
                                      "name another path");
  CHECK(said(root / "file") ==
        "cohort: make directory '" + (root / "file").string() +
            "': Not a directory (20); a part of the path is a file, not a directory");
  CHECK(said(root / "file/under").find("Not a directory (20)") != std::string::npos);
  if (::geteuid() != 0) {
    fs::create_directory(root / "closed");
    ::chmod((root / "closed").c_str(), 0555);
    CHECK(said(root / "closed/new").find("Permission denied (13); ask") != std::string::npos);
    CHECK(said(root / "closed").find("Permission denied (13); ask") != std::string::npos);
  }
  CHECK(message<InvalidInput>([&] { CheckpointDirectory(root / "new").begin(-1); }) ==
        "cohort: save: a step is 0 or more, not -1");
  CHECK(names(root.path()) == std::vector<std::string>{"file"});
}

TEST_CASE("CheckpointDirectory: commit takes only files that are there, with their sizes") {
  const TemporaryDirectory root;
  CheckpointDirectory directory(root / "c");
  save(root / "c", 1, 0);
  const fs::path temporary = directory.begin(2);
  const Manifest good = write_files(temporary, 2);
  const auto said = [&](const Manifest& manifest) {
    return message<WriteFailed>([&] { directory.commit(temporary, 2, manifest); });
  };
  Manifest bad = good;
  bad.files.push_back({"rank-2", 100, 0});
  CHECK(said(bad).find("rank-2': No such file or directory (2)") != std::string::npos);
  bad = good;
  bad.files[1].bytes = 99;
  CHECK(said(bad).find("'rank-1' has 100 bytes, its manifest says 99") != std::string::npos);
  bad = good;
  bad.files[1].name = "../c/step-00000001/rank-1";
  CHECK_THROWS_AS(directory.commit(temporary, 2, bad), InvalidInput);
  CHECK(loaded(root / "c") == "1");
  CHECK(directory.commit(temporary, 2, good) ==
        root / "c/step-00000002");  // and may be tried again
  CHECK(loaded(root / "c") == "2");
}

TEST_CASE("CheckpointDirectory: saves of one step stay beside each other") {
  const TemporaryDirectory root;
  const fs::path c = root / "c";
  CHECK(save(c, 5, 0) == c / "step-00000005");
  const std::string old = text_of(c / "step-00000005/rank-0");
  CHECK(save(c, 5, 0, 50) == c / "step-00000005.1");
  CHECK(text_of(c / "latest") == "step-00000005.1\n");
  CHECK(save(c, 5, 0, 20) == c / "step-00000005.2");
  CHECK(text_of(c / "step-00000005/rank-0") == old);
  CHECK(CheckpointDirectory(c).latest() == c / "step-00000005.2");
  fs::create_directory(c / "step-00000006");  // empty: rename would replace it
  CHECK(save(c, 6, 0) == c / "step-00000006.1");
  CHECK(fs::is_empty(c / "step-00000006"));
}

TEST_CASE("CheckpointDirectory: begin removes what crashes left, and nothing of the user's") {
  const TemporaryDirectory root;
  const fs::path c = root / "c";
  for (const char* name : {"tmp-step-00000001", "tmp-step-00000009.3", "tmp-old-step-00000002",
                           "tmp-mine", "mine", "step-1"})
    fs::create_directories(c / name / "below");
  put(c / "tmp-step-00000001/checkpoint.json", "{");
  put(c / "tmp-step-00000007", "a file");
  save(c, 3, 1);
  CHECK(names(c) == std::vector<std::string>{"latest", "mine", "step-00000003", "step-1",
                                             "tmp-mine", "tmp-step-00000007"});
}

TEST_CASE(
    "CheckpointDirectory: what a living process writes is not removed, what a dead one did is") {
  const TemporaryDirectory root;
  const fs::path c = root / "c";
  Child child([&](const Child& self) {
    const fs::path temporary = CheckpointDirectory(c).begin(7);
    write_files(temporary, 7);
    self.say(temporary.string());
    ::pause();
  });
  const fs::path theirs = child.hear();
  CHECK(theirs == c / "tmp-step-00000007");
  CHECK(save(c, 7, 1) == c / "step-00000007");
  CHECK(fs::exists(theirs / "rank-1"));
  const fs::path mine = CheckpointDirectory(c).begin(7);
  CHECK(mine == c / "tmp-step-00000007.1");
  CHECK(CheckpointDirectory(c).begin(8) == c / "tmp-step-00000008");  // the object need not live on
  CHECK(fs::exists(mine));
  child.kill();
  save(c, 9, 1);
  CHECK_FALSE(fs::exists(theirs));
  CHECK(fs::exists(mine));
  CheckpointDirectory(c).discard(mine);
  CheckpointDirectory(c).discard(c / "tmp-step-00000008");
  CHECK(left_over(c) == "");
}

TEST_CASE("CheckpointDirectory: processes that save at the same time all succeed") {
  const TemporaryDirectory root;
  const fs::path c = root / "c";
  constexpr int writers = 3, saves = 20;
  const auto writer = [&](int w) {
    return [&c, w](const Child&) {
      for (int i = 0; i < saves; ++i)
        save(c, 10 * i + w % 2, 0);  // writers 0 and 2: the same steps
    };
  };
  Child a(writer(0)), b(writer(1)), d(writer(2));
  Child reader([&](const Child& self) {
    for (std::string before = "none"; !fs::exists(root / "stop");) {
      const std::string now = named(c);
      if (now.find_first_not_of("0123456789") == 0 && now != "none") return self.say(now);
      if (now == "none" && before != "none") return self.say("latest went away");
      before = now;
    }
  });
  CHECK(a.wait() == "");
  CHECK(b.wait() == "");
  CHECK(d.wait() == "");
  put(root / "stop", "");
  CHECK(reader.wait() == "");
  CHECK(all_complete(c));
  CHECK(left_over(c) == "");
  CHECK(names(c).size() == writers * saves + 1);
}

TEST_CASE("prune: the newest of those up to the latest stay") {
  const TemporaryDirectory root;
  const fs::path c = root / "c";
  for (const int step : {1, 2, 3, 10}) save(c, step, 0);
  const auto after = [&](int keep) {
    CHECK(CheckpointDirectory(c).prune(keep) == 0);
    return names(c);
  };
  using Names = std::vector<std::string>;
  const Names all{"latest", "step-00000001", "step-00000002", "step-00000003", "step-00000010"};
  CHECK(after(0) == all);
  CHECK(after(-1) == all);
  CHECK(after(4) == all);
  CHECK(after(2) == Names{"latest", "step-00000003", "step-00000010"});
  // A run goes on from step 3: what it saves is newer than what it was taken back from.
  save(c, 4, 2);
  CHECK(names(c) == Names{"latest", "step-00000003", "step-00000004", "step-00000010"});
  save(c, 11, 2);
  CHECK(names(c) == Names{"latest", "step-00000010", "step-00000011"});
  // What `latest` names stays, also where it is the oldest.
  put(c / "latest", "step-00000010\n");
  CHECK(after(1) == Names{"latest", "step-00000010", "step-00000011"});
  // Damaged ones are not counted, and are left to the user.
  save(c, 12, 0);
  put(c / "step-00000011/rank-0", "");
  CHECK(after(2) == Names{"latest", "step-00000010", "step-00000011", "step-00000012"});
  fs::remove(c / "latest");
  CHECK(after(1) == Names{"step-00000011", "step-00000012"});
}

TEST_CASE("latest: where the pointer is damaged, the complete checkpoint of the highest step") {
  const TemporaryDirectory root;
  const fs::path c = root / "c";
  save(c, 99'999'999, 0);
  save(c, 100'000'000, 0);
  save(c, 100'000'000, 0, 50);
  save(c, 200'000'000, 0);
  put(c / "step-200000000/rank-1", "shorter");
  const fs::path newest = c / "step-100000000.1";
  put(c / "latest", "step-99999999\n");
  REQUIRE(CheckpointDirectory(c).latest() == c / "step-99999999");
  const std::string text = "step-99999999\n";
  for (std::size_t n = 0; n < text.size(); ++n) {
    put(c / "latest", text.substr(0, n));
    CHECK(CheckpointDirectory(c).latest() == newest);
  }
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string changed = text;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
    put(c / "latest", changed);
    CHECK(CheckpointDirectory(c).latest() == newest);
  }
  for (const std::string& bad : {std::string("../c/step-99999999\n"), std::string("tmp-step-1\n"),
                                 std::string(1000, '\n'), text + "\n"}) {
    put(c / "latest", bad);
    CHECK(CheckpointDirectory(c).latest() == newest);
  }
  fs::remove(c / "latest");
  CHECK(CheckpointDirectory(c).latest() == newest);
  fs::create_directory(c / "latest");
  CHECK(CheckpointDirectory(c).latest() == newest);
}

TEST_CASE("latest: a checkpoint that it names and that is damaged is an error, not another one") {
  const TemporaryDirectory root;
  const fs::path c = root / "c";
  save(c, 1, 0);
  save(c, 2, 0);
  const auto said = [&] {
    return message<MalformedFile>([&] { CheckpointDirectory(c).latest(); });
  };
  const std::string where = "checkpoint '" + (c / "step-00000002").string() + "': ";
  put(c / "step-00000002/rank-1", "shorter");
  CHECK(said() == "cohort: " + where +
                      "'rank-1' has 7 bytes, its manifest says 100: it was cut off or changed; use "
                      "another checkpoint");
  fs::remove(c / "step-00000002/rank-1");
  CHECK(said().find("No such file or directory (2)") != std::string::npos);
  put(c / "step-00000002/checkpoint.json", "{}");
  CHECK(said().find("it was cut off, damaged or edited") != std::string::npos);
}

TEST_CASE("latest: where there is no checkpoint, it says what is there and what to do") {
  const TemporaryDirectory root;
  const fs::path c = root / "c";
  const auto said = [&] { return message<InvalidInput>([&] { CheckpointDirectory(c).latest(); }); };
  CHECK(message<ReadFailed>([&] { CheckpointDirectory(c).latest(); }) ==
        "cohort: list directory '" + c.string() +
            "': No such file or directory (2); name a path that exists");
  fs::create_directory(c);
  const std::string start = "cohort: load '" + c.string() +
                            "': there is no complete checkpoint in it; it ",
                    end = "; name a directory that was saved to, or one of its checkpoints";
  CHECK(said() == start + "is empty" + end);
  put(c / "b.txt", "");
  fs::create_directory(c / "a");
  CHECK(said() == start + "holds 'a', 'b.txt'" + end);
  for (int i = 0; i < 9; ++i) put(c / ("c" + std::to_string(i)), "");
  CHECK(said() ==
        start + "holds 'a', 'b.txt', 'c0', 'c1', 'c2', 'c3', 'c4', 'c5' and 3 more" + end);
  CHECK(message<ReadFailed>([&] {
          CheckpointDirectory(c / "b.txt").latest();
        }).find("Not a directory (20)") != std::string::npos);
}

TEST_CASE("resolve: a directory of checkpoints, or a checkpoint") {
  const TemporaryDirectory root;
  const fs::path c = root / "c";
  save(c, 1, 0);
  save(c, 2, 0);
  CHECK(CheckpointDirectory::resolve(c) == c / "step-00000002");
  CHECK(CheckpointDirectory::resolve(c / "") == c / "step-00000002");
  CHECK(CheckpointDirectory::resolve(c / "step-00000001") == c / "step-00000001");
  fs::rename(c / "step-00000001", root / "best");  // a copy under another name
  CHECK(CheckpointDirectory::resolve(root / "best") == root / "best");
  put(root / "best/rank-0", "");
  CHECK_THROWS_AS(CheckpointDirectory::resolve(root / "best"), MalformedFile);
  const fs::path temporary = CheckpointDirectory(c).begin(3);
  for (const fs::path& path : {temporary, temporary / ""})
    CHECK(message<InvalidInput>([&] {
            CheckpointDirectory::resolve(path);
          }).find("it is being written, or was left by a crash; name the directory it is in") !=
          std::string::npos);
  CheckpointDirectory(c).discard(temporary);
  CHECK_THROWS_AS(CheckpointDirectory::resolve(root / "none"), ReadFailed);
}
