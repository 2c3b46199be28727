// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/trace_test.cpp: the trace of processes: one file with all ranks, or one error on every rank.
#include <cohort/mpi.hpp>
#include <cohort/trace.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "mpi/support.hpp"
#include "run/support.hpp"
#include "support/temporary_directory.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Case = zoo::OddMlpCase;
using Run = Trainer<Case::Model, Case::Loss, Buckets<64, 64>, ClipGradNorm, Traced<>>;

TEST_CASE("write_trace: processes, inline and on a worker") {
  const TemporaryDirectory dir;  // each process its own: rank 0's is used
  for (const StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
    on_processes([&](Mpi& world) {
      const Setup setup{.ranks = world.size(), .each = 6, .steps = 3, .stream = stream};
      auto run = Run::on(world, options_of<Run, Case>(setup));
      for (int step = 0; step < setup.steps; ++step) {
        const auto batch = batch_of<Case>(setup, step);
        const TimedReport r = run.step(batch.x().samples(6 * world.rank(), 6),
                                       batch.y().samples(6 * world.rank(), 6));
        CHECK(r.comm_s > 0);
        CHECK(r.exposed_comm_s <= r.step_s);
      }
      CHECK(run.times_of_all_ranks().ranks == world.size());
      const std::string file = (dir / "trace.json").string();
      CHECK_THROWS_AS(run.write_trace((dir / "no" / "trace.json").string()), io::WriteFailed);
      run.write_trace(file);
      if (world.rank() != 0) {
        CHECK_FALSE(std::filesystem::exists(file));
        return;
      }
      std::ifstream in(file);
      const auto trace = nlohmann::json::parse(in);
      CHECK(trace.at("otherData").at("ranks") == world.size());
      CHECK(trace.at("otherData").at("clock_error_us") == 0.0);  // one host, one clock
      std::vector<int> collectives(static_cast<std::size_t>(world.size()));
      for (const auto& e : trace.at("traceEvents"))
        if (e.at("ph") == "X" && e.at("tid") == 1) ++collectives[e.at("pid").get<std::size_t>()];
      for (const int count : collectives) CHECK(count == 3 * Run::plan.num_collectives());
    });
  }
}

}  // namespace
