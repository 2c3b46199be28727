// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/full_files_test.cpp: what numbered files are called and hold; saves that stop half-way; files of others.
#include <cohort/run/full_files.hpp>

#include <doctest/doctest.h>

#include "../support/child.hpp"
#include "../support/failing_files.hpp"
#include "whole_files.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE(
    "FullFiles: a series of files, whose names say another letter while the usual ones are taken") {
  const TemporaryDirectory dir;
  const fs::path path = dir / "x.safetensors";
  const std::vector<detail::StoredParameter> parameters = {
      {{"a"}, {10}, 1, 10}, {{"b"}, {300}, 1, 300}, {{"c"}, {5}, 1, 5}, {{"d"}, {3, 5}, 5, 15}};
  const std::vector<io::StoredType> types(4, io::StoredType::F32);
  const detail::FullFiles files(parameters, types, path, 100);
  CHECK(files.bytes == 4 * (10 + 300 + 5 + 15));
  using Place = std::pair<std::size_t, std::size_t>;
  CHECK((files.place == std::vector<Place>{{0, 0}, {1, 0}, {2, 0}, {2, 1}}));  // b: more than 100
  for (const std::string series : {"", "-b", "", "-b"}) {
    CAPTURE(series);
    files.create();
    const auto names = files.publish(path, parameters);
    REQUIRE(names.size() == 3);
    for (std::size_t k = 0; k < 3; ++k) {
      CHECK(names[k] ==
            dir / ("x" + series + "-0000" + std::to_string(k + 1) + "-of-00003.safetensors"));
      CHECK(fs::file_size(names[k]) == files.layouts[k].file_bytes());
    }
    CHECK(contents(dir.path()).size() == 4);  // and the index
  }
  files.create();
  CHECK(contents(dir.path()).size() == 7);
  files.discard(path);
  CHECK(contents(dir.path()).size() == 4);
}

TEST_CASE("save_full: numbered files that hold no more than asked, and an index that names them") {
  const TemporaryDirectory dir;
  FullOptions options;
  options.max_file_bytes = 1500;
  save<FullShard>(2, dir / "model.safetensors", options);
  const auto all = contents(dir.path());
  REQUIRE(all.size() == 4);
  for (std::size_t k = 0; k < 3; ++k)
    CHECK(all[k].first == "model-0000" + std::to_string(k + 1) + "-of-00003.safetensors");
  CHECK(all[3].first == "model.safetensors.index.json");
  const std::string total = std::to_string(4 * (230 + 300 + 30 + 690));
  CHECK(all[3].second == "{\n  \"metadata\": {\"total_size\": " + total +
                             "},\n  \"weight_map\": {\n"
                             "    \"0.weight\": \"model-00001-of-00003.safetensors\",\n"
                             "    \"1.weight\": \"model-00002-of-00003.safetensors\",\n"
                             "    \"1.bias\": \"model-00002-of-00003.safetensors\",\n"
                             "    \"3.weight\": \"model-00003-of-00003.safetensors\"\n  }\n}\n");
  CHECK(io::Safetensors(dir / "model-00002-of-00003.safetensors").size() == 2);
}

/// Saves over an older save until no call on files is left at which it was stopped; what a directory has
/// then loads as the old values or the new ones.
void check_stopped_saves(const FullOptions& older, const FullOptions& newer, auto stop) {
  for (int k = 1; k < 1000; ++k) {
    CAPTURE(k);
    const TemporaryDirectory dir;
    const fs::path path = dir / "model.safetensors";
    save<Replicate>(1, path, older);
    save<Replicate>(1, path, older);  // names as they are after a second save
    cohort::test::Child child([&](const cohort::test::Child& self) {
      FailingFiles files(dir.path());
      stop(files, k);
      save<Replicate>(1, path, newer, 3);
      self.say("saved");
    });
    const std::string said = child.wait();
    const bool is_new = loads<Replicate>(
        1, dir.path(), {}, [](std::size_t i, std::size_t n) { return value(i, n) + 3; });
    CHECK((is_new || loads<Replicate>(1, dir.path(), {}, value)));
    if (said == "saved") CHECK(is_new);
    if (child.killed()) continue;
    CHECK(said == "saved");
    CHECK(k > 10);
    const std::size_t files = contents(dir.path()).size();
    CHECK(files == (newer.max_file_bytes == 0 ? 1 : 4));  // nothing of the old save
    break;
  }
}
TEST_CASE("save_full: stopped at any call on files, the old save or the new one is whole") {
  FullOptions one, several;
  several.max_file_bytes = 1500;
  const auto killed = [](FailingFiles& files, int k) { files.kill_before(k); };
  const auto dark = [](FailingFiles& files, int k) {
    files.lose_power_before(k, FailingFiles::everything);
  };
  const auto renames = [](FailingFiles& files, int k) {
    files.lose_power_before(k, FailingFiles::last_rename | FailingFiles::bytes);
  };
  for (const auto& [older, newer] : {std::pair{several, several}, std::pair{one, several},
                                     std::pair{several, one}, std::pair{one, one}}) {
    CAPTURE(older.max_file_bytes);
    CAPTURE(newer.max_file_bytes);
    check_stopped_saves(older, newer, killed);
    check_stopped_saves(older, newer, dark);
    check_stopped_saves(older, newer, renames);
  }
}
TEST_CASE("save_full: a first save that fails leaves nothing, or all of it") {
  FullOptions several;
  several.max_file_bytes = 1500;
  int failed = 0;
  for (int k = 1; k < 1000; ++k) {
    CAPTURE(k);
    const TemporaryDirectory dir;
    bool saved = true;
    {
      FailingFiles files(dir.path());
      files.fail(k, EIO);
      try {
        save<Replicate>(1, dir / "model.safetensors", several);
      } catch (const Error&) {
        saved = false;
        ++failed;
      }
      if (files.calls() < k) break;  // there was no such call
    }
    const auto left = contents(dir.path());
    CHECK((left.empty() || left.size() == 4));
    if (saved) CHECK(left.size() == 4);
    if (!left.empty()) CHECK(loads<Replicate>(1, dir.path(), {}, value));
  }
  CHECK(failed > 10);
}
TEST_CASE("save_full: of files beside its own none is touched, whatever an index says") {
  const TemporaryDirectory dir;
  FullOptions several;
  several.max_file_bytes = 1500;
  save<Replicate>(1, dir / "model.safetensors", several);
  put_bytes(dir / "notes.txt", "mine");
  put_bytes(dir / "other-00001-of-00003.safetensors", "mine too");
  put_bytes(
      dir / "model.safetensors.index.json",
      R"({"weight_map": {"a": "notes.txt", "b": "../x-of-y", "c": "other-00001-of-00003.safetensors"}})");
  save<Replicate>(1, dir / "model.safetensors", several, 3);
  CHECK(bytes_of(dir / "notes.txt") == "mine");
  CHECK(bytes_of(dir / "other-00001-of-00003.safetensors") == "mine too");
  CHECK(loads<Replicate>(1, dir.path(), {},
                         [](std::size_t i, std::size_t n) { return value(i, n) + 3; }));
}

}  // namespace
