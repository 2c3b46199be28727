// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/checkpoint_save_test.cpp: ranks that meet in the file system only make one checkpoint, or none.
#include <cohort/io/checkpoint_save.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cohort/io/checkpoint_index.hpp>
#include <cstring>
#include <deque>
#include <memory>
#include <thread>

#include "files.hpp"
#include "support/failing_files.hpp"

using namespace cohort;
using namespace cohort::io;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

using State = CheckpointSave::State;

/// Ranks of one process that save a tensor of `each` elements a rank, whose element k is k + more.
struct Ranks {
  std::filesystem::path directory, temporary;
  std::uint64_t each;
  std::vector<std::vector<float>> elements;
  std::deque<PageMemory> images;
  std::vector<std::unique_ptr<CheckpointSave>> saves;  // last: their threads read the images

  Ranks(std::filesystem::path dir, int ranks, std::int64_t step, float more = 0,
        std::uint64_t each_rank = 1000, int keep = 0)
      : directory(std::move(dir)), each(each_rank) {
    temporary = CheckpointDirectory(directory).begin(step);
    for (int r = 0; r < ranks; ++r) {
      const std::uint64_t first = each * static_cast<std::uint64_t>(r);
      auto& mine = elements.emplace_back();
      for (std::uint64_t k = 0; k < each; ++k) mine.push_back(static_cast<float>(first + k) + more);
      SaveOrder order{directory, temporary, step, r, ranks, keep, {}, {}};
      // Two pieces, so that a copy has to keep them apart.
      const auto n = static_cast<std::uint64_t>(ranks), mine_first = static_cast<std::uint64_t>(r);
      order.pieces = {
          {"w", StoredType::F32, {(each - 10) * n}, (each - 10) * mine_first, each - 10},
          {"a", StoredType::F32, {10 * n}, 10 * mine_first, 10}};
      if (r == 0) order.facts = {{"step", std::to_string(step)}};
      saves.push_back(std::make_unique<CheckpointSave>(std::move(order)));
    }
  }
  /// All saves are over and gone.
  void end() { saves.clear(); }
  CheckpointSave& operator[](int r) { return *saves[static_cast<std::size_t>(r)]; }
  /// Where a rank's pieces are.
  std::vector<const std::byte*> at(int r) const {
    const auto* w =
        reinterpret_cast<const std::byte*>(elements[static_cast<std::size_t>(r)].data());
    return {w, w + 4 * (each - 10)};
  }
  /// Begins on a thread, from a copy.
  void start(int r, std::atomic<bool>* copying = nullptr) {
    CheckpointPartLayout layout((*this)[r].order().pieces);
    const auto& image = images.emplace_back(layout.image_bytes());
    (*this)[r].start(std::move(layout), image.bytes(), at(r), copying);
  }
  void write(int r) {
    (*this)[r].write([p = at(r)](std::size_t i, std::uint64_t first, std::span<std::byte> to) {
      std::memcpy(to.data(), p[i] + first, to.size());
    });
  }
  /// A rank whose memory cannot be read.
  void fail(int r) {
    (*this)[r].write([](std::size_t, std::uint64_t, std::span<std::byte>) {
      throw std::runtime_error("the device is lost");
    });
  }
};
/// Does the checkpoint hold the elements of these ranks?
bool holds(const std::filesystem::path& checkpoint, const Ranks& ranks) {
  CheckpointIndex index(checkpoint);
  bool same = true;
  const auto check = [&](const char* name, std::uint64_t skip, std::uint64_t each) {
    for (std::size_t r = 0; r < ranks.elements.size(); ++r)
      index.read(*index.find(name), r * each, each,
                 [&](std::uint64_t at, std::span<const std::byte> bytes) {
                   const float* expected = ranks.elements[r].data() + skip + at;
                   same = same && std::memcmp(bytes.data(), expected, bytes.size()) == 0;
                 });
  };
  check("w", 0, ranks.each - 10);
  check("a", ranks.each - 10, 10);
  return same;
}
std::filesystem::path latest(const std::filesystem::path& dir) {
  return CheckpointDirectory(dir).latest();
}
template <class E> std::string error_of(const CheckpointSave& save) {
  REQUIRE(save.error());
  return message<E>([&] { std::rethrow_exception(save.error()); });
}
std::vector<std::string> names(const std::filesystem::path& dir) {
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator(dir))
    all.push_back(entry.path().filename().string());
  std::sort(all.begin(), all.end());
  return all;
}

TEST_CASE("rank_file: names sort by rank and say of how many") {
  CHECK(rank_file(2, 4) == "rank-00002-of-00004.safetensors");
  CHECK(rank_file(123456, 200000) == "rank-123456-of-200000.safetensors");
}

TEST_CASE("checkpoint save: what 1 to 4 ranks write in any order is one checkpoint") {
  for (int ranks = 1; ranks <= 4; ++ranks) {
    CAPTURE(ranks);
    const TemporaryDirectory dir;
    Ranks all(dir / "run", ranks, 7);
    for (int r = ranks - 1; r >= 0; --r) {
      CHECK(all[r].state() == State::writing);
      all.write(r);
      CHECK(all[r].state() == State::written);
      CHECK(all[r].over() == (r != 0));
    }
    all[0].complete();
    CHECK(all[0].state() == State::complete);
    CHECK(all[0].over());
    CHECK(all[0].path() == dir / "run" / "step-00000007");
    CHECK(latest(dir / "run") == all[0].path());
    CHECK(holds(all[0].path(), all));
    CHECK(CheckpointIndex(all[0].path()).manifest().facts.at("step") == "7");
    CHECK(names(dir / "run") == std::vector<std::string>{"latest", "step-00000007"});
    CHECK(names(all[0].path()).size() == static_cast<std::size_t>(ranks) + 1);
  }
}

TEST_CASE("checkpoint save: on threads of their own, in any order of time") {
  for (int late = 0; late < 3; ++late) {
    const TemporaryDirectory dir;
    Ranks all(dir / "run", 3, 1, 0, 400000);
    for (int i = 0; i < 3; ++i) {
      const int r = (late + 1 + i) % 3;
      if (i == 2) std::this_thread::sleep_for(20ms);
      all.start(r);
    }
    for (int r = 0; r < 3; ++r) {
      all[r].wait_over(60s);
      CHECK(all[r].over());
      CHECK_FALSE(all[r].error());
    }
    CHECK(holds(latest(dir / "run"), all));
  }
}

TEST_CASE(
    "checkpoint save: with a copy, the bytes are those of the start whatever happens to them "
    "then") {
  const TemporaryDirectory dir;
  const Ranks before(dir / "other", 2, 5, 0, 3000000);
  Ranks all(dir / "run", 2, 5, 0, 3000000);
  std::atomic<bool> copying[2] = {true, true};
  for (int r = 0; r < 2; ++r) all.start(r, &copying[r]);
  for (int r = 0; r < 2; ++r) {
    copying[r].wait(true);
    for (float& x : all.elements[static_cast<std::size_t>(r)]) x = -1;
  }
  for (int r = 0; r < 2; ++r) all[r].wait_over(60s);
  CHECK(all[0].state() == State::complete);
  CHECK(holds(latest(dir / "run"), before));
}

TEST_CASE("checkpoint save: an image that is there already is written as it is") {
  const TemporaryDirectory dir;
  Ranks all(dir / "run", 1, 5);
  CheckpointPartLayout layout(all[0].order().pieces);
  const PageMemory image(layout.image_bytes());
  for (std::size_t i = 0; i < 2; ++i)
    std::memcpy(image.bytes().data() + layout.place(i), all.at(0)[i],
                all[0].order().pieces[i].bytes());
  all[0].start(std::move(layout), image.bytes());
  all[0].wait_over(60s);
  CHECK(holds(latest(dir / "run"), all));
}

TEST_CASE("checkpoint save: the manifest says whether the file went past the page cache") {
  const TemporaryDirectory dir;
  for (const bool refused : {false, true}) {
    Ranks all(dir / "run", 1, 5, 0, 10000);
    {
      FailingFiles files(dir.path());
      if (refused) files.fail(2, EINVAL);  // the first write
      all.write(0);
      const auto log = files.log();
      REQUIRE(log.size() > 2);
      CHECK(log[1].starts_with("pwrite"));
    }
    all[0].complete();
    const auto facts = CheckpointIndex(all[0].path()).manifest().facts;
    if (refused)
      CHECK(facts.at("written") == "through the page cache");
    else
      CHECK((facts.at("written") == "direct" || facts.at("written") == "through the page cache"));
    CHECK(holds(all[0].path(), all));
  }
}

TEST_CASE("checkpoint save: the destructor waits until the checkpoint is complete") {
  const TemporaryDirectory dir;
  {
    Ranks all(dir / "run", 1, 3, 0, 1000000);
    all.start(0);
  }
  CHECK(latest(dir / "run") == dir / "run" / "step-00000003");
}

TEST_CASE("checkpoint save: a rank that fails says why itself, and rank 0 hears of it") {
  const TemporaryDirectory dir;
  Ranks good(dir / "run", 1, 1);
  good.write(0);
  good[0].complete();
  Ranks all(dir / "run", 3, 2);
  all.write(1);
  all.fail(2);
  CHECK(all[2].state() == State::failed);
  CHECK(all[2].over());
  CHECK(error_of<std::runtime_error>(all[2]) == "the device is lost");
  CHECK(std::filesystem::exists(all.temporary / (rank_file(2, 3) + ".failed")));
  all.write(0);
  const auto begin = std::chrono::steady_clock::now();
  all[0].complete();
  CHECK(std::chrono::steady_clock::now() - begin < 60s);  // far from its patience
  CHECK(all[0].state() == State::failed);
  CHECK(error_of<WriteFailed>(all[0]) ==
        "cohort: save '" + (dir / "run").string() +
            "': the part of rank 2 could not be written; that rank says why. The checkpoints that "
            "were there are as they were");
  CHECK_FALSE(all[0].own_error());
  CHECK(all[2].own_error());
  CHECK(latest(dir / "run") == good[0].path());
  all[0].complete();  // nothing more to do
  CHECK(all[0].state() == State::failed);
  CHECK(std::filesystem::exists(all.temporary));  // another rank might be writing
  all.end();
  CHECK(names(dir / "run") == std::vector<std::string>{"latest", "step-00000001"});
}

TEST_CASE(
    "checkpoint save: where rank 0 itself fails the others still write, and nothing is left") {
  const TemporaryDirectory dir;
  Ranks all(dir / "run", 2, 2);
  all.fail(0);
  CHECK(error_of<std::runtime_error>(all[0]) == "the device is lost");
  CHECK(all[0].own_error());
  all.write(1);
  CHECK(all[1].state() == State::written);
  all[0].complete();
  CHECK(all[0].state() == State::failed);
  all.end();
  CHECK(names(dir / "run").empty());
}

TEST_CASE("checkpoint save: one that was begun and never written leaves nothing") {
  const TemporaryDirectory dir;
  { const Ranks all(dir / "run", 2, 2); }
  CHECK(names(dir / "run").empty());
}

TEST_CASE("checkpoint save: rank 0 that is told to give up does") {
  const TemporaryDirectory dir;
  Ranks all(dir / "run", 2, 2);
  all.start(0);
  all[0].wait_over(20ms);
  CHECK_FALSE(all[0].over());
  all[0].give_up();
  all[0].wait_over(60s);
  CHECK(all[0].state() == State::failed);
  CHECK(error_of<WriteFailed>(all[0]).find(
            "the part of rank 1 did not arrive: all ranks must see the same directory") !=
        std::string::npos);
  all.end();
  CHECK(names(dir / "run").empty());
}

TEST_CASE("checkpoint save: rank 0 waits as long as parts grow, and no longer than its patience") {
  const TemporaryDirectory dir;
  Ranks all(dir / "run", 2, 2);
  all.write(0);
  const auto part = all.temporary / (rank_file(1, 2) + ".part");
  std::atomic<bool> grown{false};
  std::jthread growing([&] {
    for (int i = 1; i <= 60; ++i) {  // longer than the patience
      put_bytes(part, std::string(static_cast<std::size_t>(i), 'x'));
      std::this_thread::sleep_for(10ms);
    }
    grown = true;
  });
  all[0].complete(400ms);
  CHECK(grown);
  CHECK(all[0].state() == State::failed);
  CHECK(error_of<WriteFailed>(all[0]).find("did not arrive") != std::string::npos);
}

TEST_CASE("checkpoint save: a file that is not what its rank wrote makes no checkpoint") {
  const TemporaryDirectory dir;
  Ranks all(dir / "run", 2, 2);
  all.write(0);
  put_bytes(all.temporary / rank_file(1, 2), "something else");
  all[0].complete();
  CHECK(all[0].state() == State::failed);
  CHECK_THROWS_AS(std::rethrow_exception(all[0].error()), MalformedFile);
  all.end();
  CHECK(names(dir / "run").empty());
}

TEST_CASE("checkpoint save: keep is how many of the newest stay") {
  const TemporaryDirectory dir;
  for (int step = 1; step <= 4; ++step) {
    Ranks all(dir / "run", 1, step, 0, 1000, 2);
    all.write(0);
    all[0].complete();
  }
  CHECK(names(dir / "run") == std::vector<std::string>{"latest", "step-00000003", "step-00000004"});
  Ranks all(dir / "run", 1, 5);  // 0: all
  all.write(0);
  all[0].complete();
  CHECK(names(dir / "run").size() == 4);
}

TEST_CASE("checkpoint save: rank 0 completes nothing before it has written, and that once") {
  const TemporaryDirectory dir;
  Ranks all(dir / "run", 1, 5);
  all[0].complete();
  CHECK(all[0].state() == State::writing);
  all.write(0);
  all[0].complete();
  all[0].complete();
  CHECK(names(dir / "run") == std::vector<std::string>{"latest", "step-00000005"});
}

}  // namespace
