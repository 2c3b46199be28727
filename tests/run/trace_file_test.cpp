// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/trace_file_test.cpp: the written trace: all ranks' spans, the collectives that were issued, errors.
#include <cohort/run/trace_file.hpp>

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "../io/files.hpp"
#include "../policies/sharding.hpp"

using namespace cohort;
using namespace cohort::test;
using nlohmann::json;

namespace {

using zoo::GptCase;
template <class... Ps>
using RunOf = Trainer<GptCase::Model, GptCase::Loss, Buckets<256, 1024>, ClipGradNorm, Ps...>;

/// What rank `pid` did on one of its streams, in order of time.
std::vector<json> events(const json& trace, int pid, int tid, const std::string& phase = "X") {
  std::vector<json> found;
  for (const json& e : trace.at("traceEvents"))
    if (e.at("ph") == phase && e.at("pid") == pid && e.at("tid") == tid) found.push_back(e);
  std::stable_sort(found.begin(), found.end(),
                   [](const json& a, const json& b) { return a.at("ts") < b.at("ts"); });
  return found;
}

/// Steps, a trace of them, and each rank's calls; what rank 0 wrote.
template <class Run>
json written(const Setup& setup, std::vector<std::vector<Call>>& calls,
             const TraceOptions& options = {}) {
  const TemporaryDirectory dir;
  calls.assign(static_cast<std::size_t>(setup.ranks), {});
  launch<Threads>({.ranks = setup.ranks}, [&](Threads& threads) {
    TapedWorld world = make_taped_world(threads, setup);
    auto run = Run::on(world, options_of<Run, GptCase>(setup));
    tape_of(world).clear();
    for (int step = 0; step < setup.steps; ++step) {
      const auto batch = batch_of<GptCase>(setup, step);
      const int first = world.rank() * setup.each;
      run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each));
    }
    calls[static_cast<std::size_t>(world.rank())] = tape_of(world);
    run.write_trace((dir / "trace.json").string(), options);
    run.write_trace((dir / "trace.json").string(), options);  // replaces it
  });
  return json::parse(bytes_of(dir / "trace.json"));
}

template <class Run> void check_trace(StreamMode stream) {
  CAPTURE(int(stream));
  const Setup setup{.ranks = 2, .steps = 2, .stream = stream};
  std::vector<std::vector<Call>> calls;
  const json trace = written<Run>(setup, calls);
  CHECK(trace.at("otherData") == json{{"ranks", 2}, {"lost_spans", 0}, {"clock_error_us", 0.0}});
  double earliest = 1e300;
  for (int r = 0; r < setup.ranks; ++r) {
    const auto compute = events(trace, r, 0), communication = events(trace, r, 1);
    const auto& issued = calls[static_cast<std::size_t>(r)];
    REQUIRE(communication.size() == issued.size());
    for (std::size_t i = 0; i < issued.size(); ++i) {
      const json& args = communication[i].at("args");
      const std::string kind(name(issued[i].what.kind));
      CHECK(args.at("kind") == kind);
      CHECK(communication[i].at("name").get<std::string>().rfind(kind, 0) == 0);
      CHECK(args.at("dtype") == std::string(name(issued[i].what.dtype)));
      CHECK(args.at("issued_count") == issued[i].what.count);
      CHECK(args.at("ranks") == issued[i].ranks);
      CHECK(args.at("bytes") == args.at("count").get<std::size_t>() * bytes(issued[i].what.dtype));
    }
    CHECK(compute[0].at("name") == "step 1");
    for (const json& e : compute) {
      CHECK(e.at("dur") >= 0);
      earliest = std::min(earliest, e.at("ts").get<double>());
    }
  }
  CHECK(earliest == 0);
}

}  // namespace

TEST_CASE("write_trace: one file, all ranks, the collectives that were issued") {
  for (const StreamMode stream : both_streams) {
    check_trace<RunOf<Traced<>>>(stream);
    check_trace<RunOf<Traced<>, DataParallel<FullShard>, GradAccum<2>>>(stream);
    check_trace<RunOf<Traced<>, DataParallel<HybridShard<2>>, MixedPrecision<bf16, fp32>>>(stream);
  }
}

TEST_CASE("write_trace: names of ranks, streams and units") {
  using Run = RunOf<Traced<>>;
  std::vector<std::vector<Call>> calls;
  const json trace = written<Run>({.ranks = 3, .steps = 1, .stream = StreamMode::worker}, calls);
  std::map<std::string, std::string> names;
  for (const json& e : trace.at("traceEvents"))
    if (e.at("ph") == "M" && e.at("args").contains("name"))
      names[e.at("name").get<std::string>() + e.at("pid").dump() + e.at("tid").dump()] =
          e.at("args").at("name");
  CHECK(names == std::map<std::string, std::string>{{"process_name00", "rank 0"},
                                                    {"process_name10", "rank 1"},
                                                    {"process_name20", "rank 2"},
                                                    {"thread_name00", "compute"},
                                                    {"thread_name10", "compute"},
                                                    {"thread_name20", "compute"},
                                                    {"thread_name01", "communication"},
                                                    {"thread_name11", "communication"},
                                                    {"thread_name21", "communication"}});
  std::vector<std::string> forward;
  for (const json& e : events(trace, 1, 0))
    if (e.at("name").get<std::string>().rfind("forward ", 0) == 0)
      forward.push_back(e.at("name").get<std::string>().substr(8));
  CHECK(forward == unit_names<Run::plan_type>());
}

TEST_CASE("write_trace: the newest steps alone; what was overwritten is said in the trace") {
  std::vector<std::vector<Call>> calls;
  const Setup setup{.ranks = 2, .steps = 6};
  const json newest = written<RunOf<Traced<>>>(setup, calls, {.steps = 2});
  for (const json& e : newest.at("traceEvents"))
    if (e.at("ph") == "X") CHECK(e.at("args").at("step") >= 5);
  CHECK(newest.at("otherData").at("lost_spans") == 0);

  const json full = written<RunOf<Traced<9>>>(setup, calls);
  for (int r = 0; r < 2; ++r) {
    for (int stream = 0; stream < 2; ++stream) {
      CHECK(events(full, r, stream).size() == 9);
      const auto remarks = events(full, r, stream, "i");
      REQUIRE(remarks.size() == 1);
      CHECK(remarks[0].at("name").get<std::string>().find("older spans were overwritten") !=
            std::string::npos);
    }
  }
  CHECK(full.at("otherData").at("lost_spans") > 0);
}

TEST_CASE("write_trace: a long trace passes in pieces; a run without steps writes an empty one") {
  std::vector<std::vector<Call>> calls;
  const json none = written<RunOf<Traced<>>>({.ranks = 2, .steps = 0}, calls);
  for (const json& e : none.at("traceEvents")) CHECK(e.at("ph") == "M");
  const json many = written<RunOf<Traced<>>>({.ranks = 2, .steps = 150}, calls);
  CHECK(events(many, 1, 1).size() == calls[1].size());
  CHECK(many.dump().size() > 2 * (std::size_t{1} << 18));  // more than one piece a rank
}

TEST_CASE(
    "write_trace: a path that cannot be written is an error on every rank, and the run goes on") {
  using Run = RunOf<Traced<>>;
  const TemporaryDirectory dir;
  put_bytes(dir / "file", "in the way");
  on_ranks<Run>(3, options_of<Run, GptCase>({.each = 2}), [&](auto& run, World& world) {
    const zoo::Batch<GptCase> batch(6);
    const auto step = [&] {
      run.step(batch.x().samples(2 * world.rank(), 2), batch.y().samples(2 * world.rank(), 2));
    };
    step();
    for (const char* bad : {"no/trace.json", "file/trace.json"}) {
      const std::string said =
          message<io::WriteFailed>([&] { run.write_trace((dir / bad).string()); });
      CHECK(said.find("rank 0") != said.npos);
      CHECK(said.find("trace.json") != said.npos);
    }
    step();
    run.write_trace((dir / "trace.json").string());
  });
  CHECK(json::parse(bytes_of(dir / "trace.json")).at("otherData").at("ranks") == 3);
}
