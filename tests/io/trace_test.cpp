// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/trace_test.cpp: events are what the format says, a trace is there whole or not at all.
#include <cohort/io/trace.hpp>

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "files.hpp"

using namespace cohort;
using namespace cohort::test;
using nlohmann::json;

namespace {

TEST_CASE("trace_event: what each event says, names and arguments escaped") {
  namespace event = io::trace_event;
  CHECK(json::parse(event::complete("forward \"a\"", {2, 1}, 1.5, 0.25, io::json({{"step", 3}}))) ==
        json{{"ph", "X"},
             {"name", "forward \"a\""},
             {"pid", 2},
             {"tid", 1},
             {"ts", 1.5},
             {"dur", 0.25},
             {"args", {{"step", 3}}}});
  CHECK(json::parse(event::complete("x", {}, 0, 0)).at("args") == json::object());
  CHECK(json::parse(event::instant("lost", {1, 0}, 7)).at("s") == "t");
  const json process = json::parse("[" + event::process({3, 0}, "rank 3") + "]");
  CHECK(process[0].at("name") == "process_name");
  CHECK(process[0].at("args").at("name") == "rank 3");
  CHECK(process[1].at("args").at("sort_index") == 3);
  const json thread = json::parse("[" + event::thread({3, 1}, "communication") + "]");
  CHECK(thread[0].at("ph") == "M");
  CHECK(thread[0].at("tid") == 1);
}

TEST_CASE("TraceWriter: one JSON object, with any number of events") {
  const TemporaryDirectory dir;
  for (const int events : {0, 1, 3}) {
    {
      io::TraceWriter writer(dir / "trace.json");
      for (int i = 0; i < events; ++i)
        writer.events(io::trace_event::complete("e", {}, double(i), 1));
      writer.events("");
      writer.commit(io::json({{"ranks", 1}}));
    }
    const json trace = json::parse(bytes_of(dir / "trace.json"));
    CHECK(trace.at("traceEvents").size() == static_cast<std::size_t>(events));
    CHECK(trace.at("displayTimeUnit") == "ms");
    CHECK(trace.at("otherData").at("ranks") == 1);
  }
  CHECK_FALSE(std::filesystem::exists(dir / "trace.json.tmp"));
}

TEST_CASE("TraceWriter: without commit the old file stays, and nothing lies beside it") {
  const TemporaryDirectory dir;
  put_bytes(dir / "trace.json", "old");
  {
    io::TraceWriter writer(dir / "trace.json");
    writer.events(io::trace_event::complete("e", {}, 0, 1));
    CHECK(bytes_of(dir / "trace.json") == "old");
  }
  CHECK(bytes_of(dir / "trace.json") == "old");
  CHECK_FALSE(std::filesystem::exists(dir / "trace.json.tmp"));
}

TEST_CASE("TraceWriter: a place that cannot be written is said with its path") {
  const TemporaryDirectory dir;
  const std::string said =
      message<io::WriteFailed>([&] { io::TraceWriter writer(dir / "no" / "trace.json"); });
  CHECK(said.find("trace.json") != said.npos);
  CHECK(said.find("No such file") != said.npos);
}

}  // namespace
