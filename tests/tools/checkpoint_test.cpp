// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/tools/checkpoint_test.cpp: what cohort-checkpoint makes of a checkpoint is what the run itself would have written.
#include "../../tools/checkpoint.hpp"

#include <doctest/doctest.h>

#include <cohort/checkpoint.hpp>
#include <cohort/cohort.hpp>

#include "../support/allocations.hpp"
#include "../support/temporary_directory.hpp"

using namespace cohort;
using test::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

using Model = nn::Sequential<nn::Linear<100, 331>, nn::ReLU<331>, nn::Frozen<nn::Linear<331, 77>>,
                             nn::Linear<77, 3>>;
using Large = nn::Linear<1000, 1501>;  // 6 MB of values, 18 MB of state

/// Two steps of a run that shares moments and masters among three ranks, then its checkpoint, and what `more` does.
template <class M, class... More> void make_checkpoint(const fs::path& directory, auto more) {
  using Run = Trainer<M, nn::CrossEntropy, DataParallel<ShardGradients>, optim::AdamW, More...>;
  launch<Threads>({.ranks = 3}, [&](Threads& world) {
    auto run = Run::on(world, {.seed = 5, .batch = 2});
    const std::vector<float> x(2 * 1000, 0.5f);  // more than any of them has
    const std::vector<std::int32_t> y{0, 2};
    for (int step = 0; step < 2; ++step) run.step({x.data(), {2, 1}}, {y.data(), {2, 1}});
    run.save(directory);
    more(run);
  });
}
std::string bytes_of(const fs::path& path) {
  const io::File file = io::File::to_read(path);
  std::string text(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}
void flip_bit(const fs::path& path, std::uint64_t at) {
  const io::File file = io::File::to_change(path);
  std::byte one{};
  file.read(at, std::span(&one, 1));
  one ^= std::byte{4};
  file.write(at, std::span(&one, 1));
}
void write_full(const fs::path& directory, const fs::path& file, const FullOptions& options) {
  tools::Full(io::CheckpointDirectory::resolve(directory), file, options).write();
}

}  // namespace

TEST_CASE("cohort-checkpoint full: byte by byte the file that save_full writes") {
  const TemporaryDirectory dir;
  const FullOptions as_is{}, narrow{.type = io::StoredType::BF16},
      wide{.type = io::StoredType::F64};
  make_checkpoint<Model, MixedPrecision<bf16, fp32>>(dir.path() / "run", [&](auto& run) {
    run.save_full(dir.path() / "0", as_is);
    run.save_full(dir.path() / "1", narrow);
    run.save_full(dir.path() / "2", wide);
  });
  int number = 0;
  for (const FullOptions& options : {as_is, narrow, wide}) {
    INFO("type " << number);
    const fs::path made = dir.path() / "made";
    write_full(dir.path() / "run", made, options);
    CHECK(bytes_of(made) == bytes_of(dir.path() / std::to_string(number++)));
  }
}

TEST_CASE(
    "cohort-checkpoint full: numbered files hold what one file does, none more than was asked") {
  const TemporaryDirectory dir;
  make_checkpoint<Model>(dir.path() / "run", [&](auto& run) { run.save_full(dir.path() / "one"); });
  const fs::path made = dir.path() / "model.safetensors";
  write_full(dir.path() / "run", made, {.max_file_bytes = 150'000});
  const io::Safetensors one(dir.path() / "one");
  const io::SafetensorsSet many(fs::path(made) += ".index.json");
  CHECK(many.files().size() == 2);
  CHECK_FALSE(fs::exists(made));
  REQUIRE(many.size() == one.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    const io::StoredTensor want = one[i];
    const auto found = many.find(want.name);
    REQUIRE(found);
    CHECK(found->tensor.shape == want.shape);
    const auto a = one.view(want), b = found->file->view(found->tensor);
    CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
  }
}

TEST_CASE("cohort-checkpoint full: a damaged checkpoint and a full disk leave what was there") {
  const TemporaryDirectory dir;
  make_checkpoint<Model>(dir.path() / "run", [](auto&) {});
  const fs::path made = dir.path() / "made";
  write_full(dir.path() / "run", made, {});
  const std::string before = bytes_of(made);
  const fs::path part = dir.path() / "run/step-00000002/rank-00001-of-00003.safetensors";
  flip_bit(part, fs::file_size(part) / 3);
  CHECK_THROWS_AS(write_full(dir.path() / "run", made, {}), io::MalformedFile);
  CHECK(bytes_of(made) == before);
  CHECK_FALSE(fs::exists(fs::path(made) += ".tmp"));
  CHECK_THROWS_AS(write_full(dir.path() / "run", dir.path() / "none/made", {}), io::WriteFailed);
}

TEST_CASE("cohort-checkpoint check: a bit that changed anywhere in a file is found") {
  const TemporaryDirectory dir;
  make_checkpoint<Model>(dir.path(), [](auto&) {});
  const fs::path checkpoint = dir.path() / "step-00000002";
  std::uint64_t seen = 0, all = 0;
  const auto good = tools::check(checkpoint, [&](std::uint64_t done, std::uint64_t of) {
    CHECK(done >= seen);
    seen = done;
    all = of;
  });
  CHECK(good.empty());
  CHECK(seen == all);
  // Values, and two moments of what is trained: 4 bytes each.
  CHECK(all == 4 * (3 * (101 * 331 + 78 * 3) + 332 * 77));
  const fs::path part = checkpoint / "rank-00002-of-00003.safetensors";
  for (std::uint64_t at = 0; at < fs::file_size(part); at += 997) {
    INFO("byte " << at);
    flip_bit(part, at);
    bool found = false;
    try {
      found = !tools::check(checkpoint).empty();
    } catch (const io::MalformedFile&) {
      found = true;
    }
    CHECK(found);
    flip_bit(part, at);
  }
  CHECK(tools::check(checkpoint).empty());
}

TEST_CASE("cohort-checkpoint info: step, ranks, every parameter with its shape, the notes") {
  const TemporaryDirectory dir;
  make_checkpoint<Model>(dir.path(), [&](auto& run) {
    run.save(dir.path(), {.data = {2, 12}, .notes = {{"best", "1.25"}}});
  });
  const std::string text = tools::info(dir.path());
  for (const char* part :
       {"step-00000002.1\n", "step        2\n", "ranks       3\n", " 59,229 in 6 tensors\n",
        "0.weight   [331, 100]  F32   132,400\n", "3.bias     [3]         F32   12\n",
        "optimizer   exp_avg_sq, 134,660 bytes\n", "note.best              1.25\n",
        "data_samples           12\n"}) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
  }
  CHECK(tools::grouped(999) == "999");
  CHECK(tools::grouped(1234567) == "1,234,567");
}

TEST_CASE("cohort-checkpoint: memory does not grow with the model") {
  if (!test::Allocations::available) return;
  const TemporaryDirectory dir;
  make_checkpoint<Large>(dir.path() / "run", [](auto&) {});
  std::int64_t files = 0;  // mapped for their headers: addresses, not memory
  for (const auto& each : fs::directory_iterator(dir.path() / "run/step-00000002"))
    files += static_cast<std::int64_t>(each.file_size());
  CHECK(files > 18'000'000);
  const auto peak = [&](auto f) {
    const test::Allocations count;
    f();
    return count.all_threads().peak_bytes - files;
  };
  // The block and a copy of it, floats and what they become, 1 MiB each; for BF16 half of the last. The rest
  // is headers and names.
  CHECK(peak([&] { tools::check(dir.path() / "run/step-00000002"); }) < 2'500'000);
  CHECK(peak([&] {
          write_full(dir.path() / "run", dir.path() / "made", {.type = io::StoredType::BF16});
        }) < 4'000'000);
}
