// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cpu_stream_test.cpp: the communication stream: order, markers, failure, end.
#include <doctest/doctest.h>
#include <cohort/core/error.hpp>
#include <cohort/device/cpu_stream.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace cohort;

namespace {
/// A plan of three units and N micro-batches; operations wait for various markers, two for one.
template <int N> struct FakePlan {
  using markers = Markers<3>;
  template <MicroBatch M> static constexpr Program<4> make() {
    Program<4> p;
    if (M == MicroBatch::middle) p.add({OpKind::all_gather, 7, markers::begin, 1, DType::f32});
    if (is_last(M)) {
      p.add({OpKind::all_gather, 0, markers::begin, 1, DType::f32});
      p.add({OpKind::all_reduce, 1, markers::backward_ended(2), 1, DType::f32});
      p.add({OpKind::all_reduce, 2, markers::backward_ended(0), 1, DType::f32});
      p.add({OpKind::loss, 3, markers::backward_ended(0), 1, DType::f32});
    }
    return p;
  }
  template <MicroBatch M> static constexpr auto program = make<M>();
  template <class F> static constexpr void for_each_micro_batch(F&& f, int = 1) {
    if constexpr (N == 1) {
      f.template operator()<MicroBatch::only>();
    } else {
      f.template operator()<MicroBatch::first>();
      for (int i = 2; i < N; ++i) f.template operator()<MicroBatch::middle>();
      f.template operator()<MicroBatch::last>();
    }
  }
};

/// Plays the compute stream and the collectives. `written` and `reduced` are plain memory on
/// purpose: ThreadSanitizer proves that the two counters order every access.
template <int N> struct FakeRun {
  using Plan = FakePlan<N>;
  std::array<int, Plan::markers::count> written{};  // compute writes, operations read
  std::vector<int> log, reduced = std::vector<int>(8);
  int throw_at = -1, failures = 0;
  std::chrono::microseconds op_delay{0};
  bool too_early = false;
  int round = 0;

  void run_op(const Op& op) {
    if (op_delay.count() > 0) std::this_thread::sleep_for(op_delay);
    too_early = too_early || written[static_cast<std::size_t>(op.after)] == 0;
    log.push_back(op.id);
    reduced[static_cast<std::size_t>(op.id)] += written[static_cast<std::size_t>(op.after)];
    if (op.id == throw_at) throw InvalidInput(1, "all_reduce", "the wire is cut.");
  }
  void fail(std::exception_ptr) { ++failures; }
};

template <int N, class Stream> void step(FakeRun<N>& run, Stream& stream, bool jitter = false) {
  FakePlan<N>::for_each_micro_batch([&]<MicroBatch M>() {
    ++run.round;
    run.written.fill(0);
    stream.template begin<M>();
    for (int m = 0; m < FakePlan<N>::markers::count; ++m) {
      if (jitter && m % 3 == 1) std::this_thread::sleep_for(std::chrono::microseconds(50));
      run.written[static_cast<std::size_t>(m)] = run.round;
      stream.reached(m);
    }
    stream.finish();
  });
}
template <int N> using StreamOf = CpuStream<FakePlan<N>, FakeRun<N>>;

template <int N>
FakeRun<N> run_steps(int steps, bool worker, bool spins, bool jitter, int op_delay_us) {
  FakeRun<N> run;
  run.op_delay = std::chrono::microseconds(op_delay_us);
  StreamOf<N> stream(run, worker, spins, 1);
  CHECK(stream.has_worker() == worker);
  for (int i = 0; i < steps; ++i) step(run, stream, jitter);
  return run;
}
static_assert(!std::is_copy_constructible_v<StreamOf<1>> &&
              !std::is_move_constructible_v<StreamOf<1>>);
}  // namespace

TEST_CASE("counter: waits compare across the wrap of 32 bits") {
  cohort::detail::Counter c;
  CHECK(c.reached(0));
  CHECK(!c.reached(1));
  c.post(0xfffffff0u);
  CHECK(c.reached(0xfffffff0u));
  CHECK(!c.reached(5));  // 21 posts ahead
  c.post(5);
  CHECK(c.reached(0xfffffff0u));
  CHECK(c.reached(5));
  c.wait(5, 0);
}

TEST_CASE_TEMPLATE("cpu stream: a worker runs the same operations in the same order as inline", I,
                   std::integral_constant<int, 1>, std::integral_constant<int, 2>,
                   std::integral_constant<int, 4>) {
  constexpr int n = I::value;
  const FakeRun<n> inline_run = run_steps<n>(5, false, false, false, 0);
  std::vector<int> expected;
  for (int s = 0; s < 5; ++s) {
    for (int k = 2; k < n; ++k) expected.push_back(7);  // middle micro-batches
    for (int id : {0, 1, 2, 3}) expected.push_back(id);
  }
  CHECK(inline_run.log == expected);
  CHECK(!inline_run.too_early);
  for (const bool spins : {false, true}) {
    for (const bool jitter : {false, true}) {
      for (const int delay : {0, 60}) {
        CAPTURE(spins);
        CAPTURE(jitter);
        CAPTURE(delay);
        const FakeRun<n> worker = run_steps<n>(5, true, spins, jitter, delay);
        CHECK(worker.log == expected);
        CHECK(!worker.too_early);
        CHECK(worker.reduced == inline_run.reduced);
      }
    }
  }
}

TEST_CASE("cpu stream: inline operations run inside reached() of their marker, not before") {
  FakeRun<1> run;
  StreamOf<1> stream(run, false, false, 1);
  stream.begin<MicroBatch::only>();
  std::vector<std::size_t> done;
  run.written.fill(1);
  for (int m = 0; m < FakePlan<1>::markers::count; ++m) {
    stream.reached(m);
    done.push_back(run.log.size());
  }
  // Markers of 3 units: begin 0, forwards 1 2 3, 4, backward of 2 begins 5, ends 6, ..., ends of 0: 10;
  // squared 11, updated 12.
  CHECK(done == std::vector<std::size_t>{1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4});
}

TEST_CASE("cpu stream: wait(n) returns when the first n operations are done, whatever follows") {
  for (const bool worker : {false, true}) {
    CAPTURE(worker);
    FakeRun<1> run;
    run.op_delay = std::chrono::microseconds(300);
    StreamOf<1> stream(run, worker, false, 1);
    for (int step = 1; step <= 3; ++step) {
      run.written.fill(1);
      stream.begin<MicroBatch::only>();
      stream.wait(0);  // nothing was asked for: returns at once
      stream.reached(0);
      stream.wait(1);
      CHECK(run.reduced[0] == step);  // plain memory: ThreadSanitizer sees the order
      for (int m = 1; m <= 6; ++m) stream.reached(m);
      stream.wait(2);
      CHECK(run.reduced[1] == step);
      for (int m = 7; m < FakePlan<1>::markers::count; ++m) stream.reached(m);
      stream.finish();
      CHECK(run.log.size() == static_cast<std::size_t>(4 * step));
    }
  }
}

TEST_CASE("cpu stream: wait(n) throws what an operation threw, also an earlier one") {
  FakeRun<1> run;
  run.throw_at = 0;
  StreamOf<1> stream(run, true, false, 1);
  run.written.fill(1);
  stream.begin<MicroBatch::only>();
  stream.reached(0);
  CHECK_THROWS_AS(stream.wait(2), InvalidInput);
}

TEST_CASE("cpu stream: an exception of an operation surfaces on the compute thread") {
  for (const bool worker : {false, true}) {
    CAPTURE(worker);
    FakeRun<1> run;
    run.throw_at = 1;
    StreamOf<1> stream(run, worker, false, 1);
    std::string text;
    try {
      step(run, stream);
    } catch (const InvalidInput& e) {
      text = e.what();
    }
    CHECK(text == "cohort: rank 1: all_reduce: the wire is cut.");
    CHECK(run.log == std::vector<int>{0, 1});  // nothing runs after it
    CHECK(run.failures == (worker ? 1 : 0));   // inline, the compute thread knows already
  }
}

TEST_CASE("cpu stream: finish() after a failure in a later step throws too") {
  FakeRun<1> run;
  StreamOf<1> stream(run, true, false, 1);
  step(run, stream);
  CHECK(run.log.size() == 4);
  run.throw_at = 3;  // the worker sleeps: it sees this through the next marker
  CHECK_THROWS_AS(step(run, stream), InvalidInput);
}

TEST_CASE("cpu stream: ends while idle, before a first step, between steps") {
  for (int steps : {0, 1, 3})
    for (const bool spins : {false, true}) {
      const FakeRun<2> run = run_steps<2>(steps, true, spins, false, 0);
      CHECK(run.log.size() == static_cast<std::size_t>(4 * steps));
    }
}

TEST_CASE("cpu stream: ends in the middle of a step, running nothing that was not reached") {
  FakeRun<1> run;
  {
    StreamOf<1> stream(run, true, false, 1);
    stream.begin<MicroBatch::only>();
    run.written[0] = 1;
    stream.reached(0);
  }
  CHECK(run.log.size() <= 1);
  CHECK(!run.too_early);
}
