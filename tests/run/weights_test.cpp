// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/weights_test.cpp: one file, whoever wrote it; one run, whatever the file's names, order and types.
#include <cohort/run/weights.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cohort/comm/delayed.hpp>
#include <cohort/comm/threads.hpp>
#include <cohort/trainer.hpp>
#include <csignal>

#include "../io/files.hpp"
#include "whole_files.hpp"

using namespace cohort;
using namespace cohort::test;
using io::StoredType;

namespace {

/// The names of another library: matrices transposed, a token table without its last rows.
FullOptions other_names() {
  FullOptions options;
  options.names = [](const std::string& own) {
    if (own == "0.weight") return io::StoredName{"wte", false, 20};
    if (own == "1.weight") return io::StoredName{"fc.w", true};
    if (own == "1.bias") return io::StoredName{"fc.b"};
    return io::StoredName{"head", true, 19};  // [30, 19] in the file
  };
  return options;
}
/// The same values as more tensors: rows of a parameter that others keep apart.
FullOptions kept_apart() {
  FullOptions options;
  options.names = [](const std::string& own) -> io::StoredNames {
    if (own == "0.weight") return io::StoredName{"wte", false, 20};
    if (own == "1.weight") return {{"q", false, 12}, {"k", true, 7}, {"v"}};
    if (own == "1.bias") return {{"q.bias", false, 12}, {"kv.bias"}};
    return {{"head.0", true, 5}, {"head.1", false, 14}};
  };
  return options;
}
float beyond_rows_stay(std::size_t i, std::size_t k) {
  return (i == 0 && k >= 20 * 10) || (i == 3 && k >= 19 * 30) ? -1 : value(i, k);
}

// ---------------------------------------------------------------- saves

TEST_CASE("save_full: every strategy on any number of ranks writes the same bytes") {
  FullOptions in_parts = other_names(), narrow = other_names();
  in_parts.max_file_bytes = 1500;
  narrow.type = StoredType::BF16;
  for (const FullOptions& options :
       {FullOptions{}, other_names(), in_parts, narrow, kept_apart()}) {
    const TemporaryDirectory dir;
    fs::create_directory(dir / "expected");
    save<Replicate>(1, dir / "expected" / "model.safetensors", options);
    const auto expected = contents(dir / "expected");
    CHECK(expected.size() == (options.max_file_bytes > 0 ? 4 : 1));
    int number = 0;
    const auto check = [&](auto save_as, int ranks) {
      CAPTURE(ranks);
      const fs::path here = dir / std::to_string(number++);
      fs::create_directory(here);
      save_as(ranks, here / "model.safetensors", options, 0.0f);
      CHECK((contents(here) == expected));
    };
    for (int ranks : {2, 3}) check(&save<Replicate>, ranks);
    for (int ranks : {1, 2, 3}) check(&save<ShardOptimizer>, ranks);
    for (int ranks : {1, 2, 3}) check(&save<FullShard>, ranks);
  }
}

template <class T> std::vector<T> tensor(const io::Safetensors& file, const char* name) {
  const auto found = file.find(name);
  REQUIRE(found);
  CHECK(found->type == io::stored_type_of<T>);
  std::vector<T> out(found->bytes() / sizeof(T));
  file.read(*found, 0, std::as_writable_bytes(std::span(out)));
  return out;
}

TEST_CASE("save_full: names, rows and transposes are as the options say") {
  const TemporaryDirectory dir;
  save<FullShard>(3, dir / "x.safetensors", other_names());
  const io::Safetensors file(dir / "x.safetensors");
  CHECK(file.size() == 4);
  CHECK(file.metadata("format") == "pt");
  CHECK(file.find("wte")->shape == std::vector<std::uint64_t>{20, 10});
  CHECK(file.find("fc.w")->shape == std::vector<std::uint64_t>{10, 30});
  CHECK(file.find("head")->shape == std::vector<std::uint64_t>{30, 19});
  const auto wte = tensor<float>(file, "wte"), fc = tensor<float>(file, "fc.w"),
             head = tensor<float>(file, "head");
  for (std::size_t k = 0; k < wte.size(); ++k) CHECK(wte[k] == value(0, k));
  for (std::size_t in = 0; in < 10; ++in)
    for (std::size_t out = 0; out < 30; ++out) CHECK(fc[in * 30 + out] == value(1, out * 10 + in));
  for (std::size_t in = 0; in < 30; ++in)
    for (std::size_t out = 0; out < 19; ++out)
      CHECK(head[in * 19 + out] == value(3, out * 30 + in));
}

TEST_CASE("save_full: rows of one parameter go into tensors of their own") {
  const TemporaryDirectory dir;
  save<FullShard>(3, dir / "x.safetensors", kept_apart());
  const io::Safetensors file(dir / "x.safetensors");
  CHECK(file.size() == 8);
  CHECK(file.find("k")->shape == std::vector<std::uint64_t>{10, 7});
  const auto q = tensor<float>(file, "q"), k = tensor<float>(file, "k"),
             v = tensor<float>(file, "v"), bias = tensor<float>(file, "kv.bias"),
             head_0 = tensor<float>(file, "head.0"), head_1 = tensor<float>(file, "head.1");
  REQUIRE((q.size() == 120 && v.size() == 110 && bias.size() == 18 && head_1.size() == 14 * 30));
  for (std::size_t i = 0; i < q.size(); ++i) CHECK(q[i] == value(1, i));
  for (std::size_t in = 0; in < 10; ++in)
    for (std::size_t out = 0; out < 7; ++out)
      CHECK(k[in * 7 + out] == value(1, (12 + out) * 10 + in));
  for (std::size_t i = 0; i < v.size(); ++i) CHECK(v[i] == value(1, 190 + i));
  for (std::size_t i = 0; i < bias.size(); ++i) CHECK(bias[i] == value(2, 12 + i));
  for (std::size_t in = 0; in < 30; ++in)
    for (std::size_t out = 0; out < 5; ++out)
      CHECK(head_0[in * 5 + out] == value(3, out * 30 + in));
  for (std::size_t i = 0; i < head_1.size(); ++i) CHECK(head_1[i] == value(3, 150 + i));
}

TEST_CASE(
    "save_full: values have the master's type, frozen ones the compute type, or the one asked "
    "for") {
  using Mixed = MixedPrecision<bf16, fp32>;
  const TemporaryDirectory dir;
  save<FullShard, Mixed>(2, dir / "own.safetensors");
  const io::Safetensors own(dir / "own.safetensors");
  CHECK(own.find("0.weight")->type == StoredType::F32);
  CHECK(own.find("1.weight")->type == StoredType::BF16);
  for (const StoredType type :
       {StoredType::F64, StoredType::F32, StoredType::BF16, StoredType::F16}) {
    FullOptions options;
    options.type = type;
    save<FullShard, Mixed>(2, dir / "x.safetensors", options);
    const io::Safetensors file(dir / "x.safetensors");
    for (std::size_t i = 0; i < file.size(); ++i) CHECK(file[i].type == type);
    CHECK(loads<Replicate>(1, dir / "x.safetensors", {}, value));
  }
}

// ---------------------------------------------------------------- loads

TEST_CASE("load_full: each strategy reads what each wrote, in one file or several") {
  const TemporaryDirectory dir;
  FullOptions in_parts;
  in_parts.max_file_bytes = 1500;
  save<FullShard>(3, dir / "one.safetensors");
  save<ShardOptimizer>(2, dir / "several.safetensors", in_parts);
  for (const char* name : {"one.safetensors", "several.safetensors.index.json"}) {
    CAPTURE(name);
    for (int ranks : {1, 2, 3}) {
      CHECK(loads<Replicate>(ranks, dir / name, {}, value));
      CHECK(loads<ShardOptimizer>(ranks, dir / name, {}, value));
      CHECK(loads<FullShard>(ranks, dir / name, {}, value));
    }
  }
}

TEST_CASE("load_full: other names, transposes and missing rows are read as they were written") {
  const TemporaryDirectory dir;
  for (const FullOptions& options : {other_names(), kept_apart()}) {
    save<Replicate>(1, dir / "x.safetensors", options);
    for (int ranks : {1, 2, 3}) {
      CHECK(loads<Replicate>(ranks, dir / "x.safetensors", options, beyond_rows_stay));
      CHECK(loads<FullShard>(ranks, dir / "x.safetensors", options, beyond_rows_stay));
    }
  }
}

TEST_CASE(
    "load_full: tensors that no parameter reads are an error, or listed where they may be left") {
  const TemporaryDirectory dir;
  save<Replicate>(1, dir / "x.safetensors");
  using Smaller =
      typename Trainer<nn::Sequential<nn::Embedding<23, 10>>, nn::CrossEntropy>::plan_type;
  const fs::path path = dir / "x.safetensors";
  FullOptions options;
  const auto refused = [&](const std::string& words) {
    const std::string text =
        message<InvalidInput>([&] { detail::FullLoad<Smaller>().open(path, options); });
    CHECK(text == "cohort: weights '" + path.string() + "': the model reads nothing of " + words);
  };
  refused(
      "'1.bias', '1.weight', '3.weight': it lacks layers or biases of the file; .ignore says what "
      "may be left unread.");
  options.ignore = [](const std::string& name) { return name.starts_with("1."); };
  refused(
      "'3.weight': it lacks layers or biases of the file; .ignore says what may be left unread.");
  options.ignore = [](const std::string& name) { return name != "0.weight"; };
  detail::FullLoad<Smaller> load;
  load.open(path, options);
  CHECK(load.loaded().unused == std::vector<std::string>{"1.bias", "1.weight", "3.weight"});
  CHECK(load.loaded().path == dir / "x.safetensors");
}

// ---------------------------------------------------------------- refusals

/// What a load of this file says, without "cohort: weights 'PATH': ".
std::string said(const fs::path& path, const FullOptions& options = {}) {
  const std::string begin = "cohort: weights '" + path.string() + "': ";
  const std::string text =
      message<InvalidInput>([&] { detail::FullLoad<PlanFor<Replicate>>().open(path, options); });
  CHECK(text.starts_with(begin));
  return text.substr(std::min(begin.size(), text.size()));
}

TEST_CASE("load_full: a file of another model is refused, and why") {
  const TemporaryDirectory dir;
  const auto path = dir / "x.safetensors";
  const auto write = [&](StoredType type, std::vector<std::uint64_t> shape) {
    std::uint64_t bytes = static_cast<std::uint64_t>(io::bits(type)) / 8;
    for (const std::uint64_t extent : shape) bytes *= extent;
    const std::vector<std::byte> data(bytes);
    io::write_safetensors(path, {{{"0.weight", type, std::move(shape)}, data}});
  };
  write(StoredType::F32, {23, 9});
  CHECK(said(path) ==
        "'0.weight' is [23, 9] there and must be [23, 10] for this model: it is of a model of "
        "another size.");
  CHECK(said(path, other_names()) ==
        "there is no 'wte' (0.weight of the model): the file is of another model, or .names is "
        "wrong; it has '0.weight'.");
  write(StoredType::I32, {23, 10});
  CHECK(said(path) == "'0.weight' is I32: F64, F32, BF16 and F16 can be read.");
  write(StoredType::F32, {23, 10});
  CHECK(said(path) ==
        "there is no '1.weight': the file is of another model, or .names must say what it is "
        "called there.");
  FullOptions named;
  named.names = [](const std::string& own) { return io::StoredName{own, own == "0.weight"}; };
  CHECK(said(path, named) ==
        "'0.weight' is [23, 10] there and must be [10, 23] for this model: it is of a model of "
        "another size, or .rows or .transposed of .names is wrong.");
  CHECK_THROWS_AS(detail::FullLoad<PlanFor<Replicate>>().open(dir / "none.safetensors", {}),
                  io::ReadFailed);
}

TEST_CASE("save_full: what cannot be written is refused on every rank, and nothing is left") {
  const TemporaryDirectory dir;
  const auto refused = [&](const FullOptions& options) {
    std::vector<std::string> texts(2);
    on<FullShard>(2, [&]<class Plan>(Threads& world, auto& storage) {
      texts[static_cast<std::size_t>(world.rank())] = message<InvalidInput>([&] {
        detail::save_full<Plan>(world, DefaultCpu{}, storage, dir / "x.safetensors", options);
      });
    });
    CHECK(texts[1] ==
          "cohort: rank 1" + texts[0].substr(std::min<std::size_t>(14, texts[0].size())));
    CHECK(fs::is_empty(dir.path()));
    return texts[0];
  };
  FullOptions type, twice, rows, transposed;
  type.type = StoredType::I32;
  CHECK(refused(type).ends_with("weights are written as F32, BF16, F16 or F64, not as I32."));
  twice.names = [](const std::string& own) { return io::StoredName{own.substr(2)}; };
  const std::string words =
      "two tensors are to be called 'weight' in the file: give each a name of its own.";
  CHECK(refused(twice).ends_with(words));
  twice.max_file_bytes = 100;  // also where they would be in different files
  CHECK(refused(twice).ends_with(words));
  rows.names = [](const std::string& own) { return io::StoredName{own, false, 24}; };
  CHECK(refused(rows).ends_with(
      "'0.weight' is to hold 24 of the 23 rows of '0.weight', of which 23 are left."));
  transposed.names = [](const std::string& own) { return io::StoredName{own, true}; };
  CHECK(refused(transposed).find("'1.bias' is to be transposed") != std::string::npos);
}

// ---------------------------------------------------------------- failures in the middle

/// From one of rank 0's collectives on, this process writes no file beyond byte 600.
struct DiskFull {
  int rank = 0;
  std::uint64_t from = 0;
  std::chrono::nanoseconds operator()(CollectiveKind, std::size_t, std::uint64_t sequence) const {
    if (rank == 0 && sequence == from) limit(600);
    return {};
  }
  static void limit(rlim_t bytes) {
    rlimit now{};
    ::getrlimit(RLIMIT_FSIZE, &now);
    now.rlim_cur = std::min(bytes, now.rlim_max);
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
};

/// Saves over an old file while the disk fills up at rank 0's k-th collective; was it refused?
bool fails_at(std::uint64_t k, const fs::path& path, float more) {
  std::atomic<int> refused{0};
  on<FullShard>(3, [&]<class Plan>(Threads& threads, auto& storage) {
    fill<Plan>(storage, more);
    Delayed<Threads, DiskFull, When::before> world(threads.duplicate(), {threads.rank(), k});
    try {
      detail::save_full<Plan>(world, DefaultCpu{}, storage, path, {});
    } catch (const io::WriteFailed&) {
      ++refused;
    }
    threads.barrier();
  });
  DiskFull::limit(RLIM_INFINITY);
  CHECK((refused == 0 || refused == 3));
  return refused == 3;
}

TEST_CASE(
    "save_full: a disk that fills up at any time leaves the old file, or the new one, alone") {
  const TemporaryDirectory dir;
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  save<Replicate>(1, dir / "new.safetensors", {}, 3);
  const std::string new_bytes = bytes_of(dir / "new.safetensors");
  fs::remove(dir / "new.safetensors");
  int failed = 0;
  for (std::uint64_t k = 1; k <= 12; ++k) {
    CAPTURE(k);
    save<Replicate>(1, dir / "x.safetensors", {}, 0);
    const std::string old_bytes = bytes_of(dir / "x.safetensors");
    CHECK(old_bytes != new_bytes);
    const bool refused = fails_at(k, dir / "x.safetensors", 3);
    failed += refused;
    const auto all = contents(dir.path());
    REQUIRE(all.size() == 1);  // no temporary file
    CHECK((all[0].second == (refused ? old_bytes : new_bytes)));
  }
  CHECK(failed >= 2);  // while the file is made, while it is written
  CHECK(failed < 12);  // and at last it is there
  std::signal(SIGXFSZ, old_handler);
}

TEST_CASE("save_full: a name that cannot be taken is refused on every rank") {
  const TemporaryDirectory dir;
  fs::create_directories(dir / "x.safetensors" / "inside");
  std::atomic<int> refused{0};
  on<FullShard>(2, [&]<class Plan>(Threads& world, auto& storage) {
    const std::string text = message<io::WriteFailed>(
        [&] { detail::save_full<Plan>(world, DefaultCpu{}, storage, dir / "x.safetensors", {}); });
    refused += text.find("rename to '" + (dir / "x.safetensors").string()) != std::string::npos;
  });
  CHECK(refused == 2);
  CHECK(fs::is_directory(dir / "x.safetensors" / "inside"));
  CHECK_FALSE(fs::exists(dir / "x.safetensors.tmp"));
}

}  // namespace
