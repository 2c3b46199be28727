// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/metrics_test.cpp: each line is valid JSON and kept, or a typed error says why.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cohort/core/rng.hpp>
#include <cohort/io/metrics.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "support/message.hpp"

using cohort::io::Field;
using cohort::io::json;
using cohort::io::Metrics;
using cohort::test::message;
namespace fs = std::filesystem;

// Only numbers, bools and text are fields.
static_assert(std::constructible_from<Field, const char*, unsigned char>);
static_assert(!std::constructible_from<Field, const char*, std::nullptr_t>);
static_assert(!std::constructible_from<Field, const char*, int*>);

namespace {
struct TemporaryFile {
  std::string path = (fs::temp_directory_path() / "cohort-metrics-XXXXXX").string();
  TemporaryFile() {
    const int fd = ::mkstemp(path.data());
    REQUIRE(fd >= 0);
    ::close(fd);
  }
  ~TemporaryFile() { fs::remove(path); }
  std::string text() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};
}  // namespace

TEST_CASE("json: fields keep their order; numbers are the shortest that read back") {
  CHECK(json({}) == "{}");
  CHECK(json({{"step", 12}, {"loss", 2.5f}, {"lr", 1e-3}, {"phase", "train"}, {"best", true}}) ==
        R"({"step": 12, "loss": 2.5, "lr": 0.001, "phase": "train", "best": true})");
  CHECK(json({{"a", 0.1f}, {"b", 0.1}, {"c", -0.0}}) == R"({"a": 0.1, "b": 0.1, "c": -0})");
  CHECK(json({{"min", std::numeric_limits<std::int64_t>::min()},
              {"max", std::numeric_limits<std::uint64_t>::max()}}) ==
        R"({"min": -9223372036854775808, "max": 18446744073709551615})");
}

TEST_CASE("json: NaN and infinity are null") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  CHECK(json({{"a", std::nan("")}, {"b", inf}, {"c", -std::numeric_limits<float>::infinity()}}) ==
        R"({"a": null, "b": null, "c": null})");
}

TEST_CASE("json: quotes, backslashes and control characters are escaped, also in names") {
  CHECK(json({{"q\"", "a\\b\n\t\x01\x7f"}}) == R"({"q\"": "a\\b\u000a\u0009\u0001\u007f"})");
  CHECK(json({{"nul", std::string("a\0b", 3)}}) == R"({"nul": "a\u0000b"})");
}

TEST_CASE("json: UTF-8 passes, every byte that is not part of it becomes U+FFFD") {
  const auto value = [](const std::string& s) { return json({{"s", s}}); };
  for (const char* good :
       {"\x7e", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(value(good) == "{\"s\": \"" + std::string(good) + "\"}");
  }
  // Overlong forms, surrogates, above U+10FFFF, stray and missing continuations.
  for (const char* bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xe1\x80", "\xed\xa0\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    std::string expected;
    for (std::size_t i = 0; i < std::string(bad).size(); ++i) expected += "\\ufffd";
    CHECK(value(bad) == "{\"s\": \"" + expected + "\"}");
  }
}

TEST_CASE("json: an independent parser reads random texts and numbers back") {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    std::string text(cohort::uniform_below(40, seed, 0, 0), '\0');
    for (std::size_t i = 0; i < text.size(); ++i)
      text[i] = char(cohort::uniform_below(256, seed, 1, i));
    const float f = cohort::normal(seed, 2, 0) * 1e-30f;
    const double d = double(cohort::normal(seed, 2, 1)) * 1e200;
    const auto integer = static_cast<std::int64_t>(cohort::random_bits(seed, 3, 0));
    const auto parsed =
        nlohmann::json::parse(json({{text, text}, {"f", f}, {"d", d}, {"i", integer}}));
    REQUIRE(parsed.size() == 4);
    REQUIRE(parsed["f"].get<float>() == f);
    REQUIRE(parsed["d"].get<double>() == d);
    REQUIRE(parsed["i"].get<std::int64_t>() == integer);
  }
}

TEST_CASE("Metrics: a line is in the file when write returns") {
  const TemporaryFile file;
  Metrics metrics(file.path);
  metrics.write({{"step", 1}});
  CHECK(file.text() == "{\"step\": 1}\n");
  metrics.write({{"step", 2}});
  CHECK(file.text() == "{\"step\": 1}\n{\"step\": 2}\n");
}

TEST_CASE("Metrics: replaces the file or continues it") {
  const TemporaryFile file;
  { Metrics(file.path).write({{"run", 1}}); }
  { Metrics(file.path, Metrics::Open::append).write({{"run", 2}}); }
  CHECK(file.text() == "{\"run\": 1}\n{\"run\": 2}\n");
  { Metrics metrics(file.path); }
  CHECK(file.text().empty());
}

TEST_CASE("Metrics: a path that cannot be opened is InvalidInput with path and reason") {
  const auto open = [](const std::string& path) {
    return message<cohort::InvalidInput>([&] { Metrics metrics(path); });
  };
  const std::string advice = "); give a file in a directory that exists and is writable";
  CHECK(open("/nonexistent/log.jsonl") ==
        "cohort: open '/nonexistent/log.jsonl': the log cannot be written (No such file or "
        "directory" +
            advice);
  CHECK(open("/") == "cohort: open '/': the log cannot be written (Is a directory" + advice);
  CHECK(open("").find("No such file") != std::string::npos);
}

TEST_CASE("Metrics: a full disk is WriteFailed with the system's reason") {
  if (!fs::exists("/dev/full")) return;
  Metrics metrics("/dev/full");
  CHECK(message<cohort::io::WriteFailed>([&] {
          metrics.write({{"step", 1}});
        }) ==
        "cohort: write '/dev/full': No space left on device; the lines written before are kept; "
        "make room or "
        "log elsewhere");
}

TEST_CASE("Metrics: a line that fits only in part is taken back") {
  const TemporaryFile file;
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = 40;  // bytes: three lines of 12, and a third of the next
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  Metrics metrics(file.path);
  for (int i = 0; i < 3; ++i) metrics.write({{"step", i}});
  const std::string what = message<cohort::io::WriteFailed>([&] { metrics.write({{"step", 3}}); });
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK(what.find("File too large; the lines written before are kept") != std::string::npos);
  CHECK(file.text() == "{\"step\": 0}\n{\"step\": 1}\n{\"step\": 2}\n");
  metrics.write({{"step", 4}});  // and the log goes on when there is room again
  CHECK(file.text().ends_with("{\"step\": 2}\n{\"step\": 4}\n"));
}

TEST_CASE("cut_metrics: the log is what it was after the step") {
  const TemporaryFile file;
  const auto written = [&](int last) {
    Metrics metrics(file.path);
    metrics.write({{"run", "a"}});
    for (int i = 1; i <= last; ++i) {
      if (i % 4 == 0) metrics.write({{"step", i}, {"val_loss", 0.5 * i}});
      metrics.write({{"step", i}, {"loss", 1.0 / i}});
    }
    return file.text();
  };
  for (int step = 0; step <= 12; ++step) {
    const std::string expected = written(step);
    written(12);
    cohort::io::cut_metrics(file.path, step);
    CHECK(file.text() == expected);
    cohort::io::cut_metrics(file.path, step);
    CHECK(file.text() == expected);
  }
  const std::string whole = written(9);
  Metrics(file.path, Metrics::Open::append)
      .write({{"loss", 1}, {"step", 99}, {"b", "{\"step\": 99"}});
  const std::string more = file.text();
  std::ofstream(file.path, std::ios::app) << "{\"step\": 9, \"lo";  // killed while it wrote
  cohort::io::cut_metrics(file.path, 9);
  CHECK(file.text() == more);  // whole lines that do not begin with a step are not judged
  CHECK(more.size() > whole.size());
}

TEST_CASE("cut_metrics: no file is no log yet; what cannot be changed is said") {
  cohort::io::cut_metrics("/nonexistent/log.jsonl", 1);
  CHECK(!fs::exists("/nonexistent"));
  CHECK(message<cohort::io::WriteFailed>([] { cohort::io::cut_metrics("/", 1); }).find("'/'") !=
        std::string::npos);
}
