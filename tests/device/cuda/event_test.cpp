// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cuda/event_test.cpp: an event is the last point recorded, for streams and for the host.
#include <cohort/device/cuda/event.hpp>
#include <cohort/device/cuda/stream.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <support/cuda_double/double.hpp>
#include <thread>
#include <type_traits>
#include <utility>

using namespace cohort;
using namespace std::chrono_literals;

namespace {

static_assert(std::is_nothrow_move_constructible_v<cuda::Event>);
static_assert(!std::is_copy_constructible_v<cuda::Event>);

/// A stream that waits until it is let go.
struct Gate {
  explicit Gate(const cuda::Stream& stream) {
    cuda_double::enqueue(stream.native(), [this] {
      while (!open) std::this_thread::yield();
    });
  }
  std::atomic<bool> open = false;
};

TEST_CASE("Event: never recorded counts as passed") {
  cuda_double::reset();
  const cuda::Event event;
  const cuda::Stream stream;
  CHECK(event.done());
  event.synchronize();
  event.delay(stream.native());
  stream.synchronize();
}

TEST_CASE("Event: done() when the stream has passed it, and asking leaves no error behind") {
  cuda_double::reset();
  const cuda::Stream stream;
  cuda::Event event;
  int value = 0;
  Gate gate(stream);
  cuda_double::enqueue(stream.native(), [&] { value = 3; });
  event.record(stream.native());
  CHECK_FALSE(event.done());
  CHECK(cudaPeekAtLastError() == cudaSuccess);
  gate.open = true;
  event.synchronize();
  CHECK(value == 3);
  CHECK(event.done());
}

TEST_CASE(
    "Event: a delay is for the point as recorded at the call, a later record does not move it") {
  cuda_double::reset();
  const cuda::Stream first, second;
  cuda::Event event;
  event.record(first.native());
  event.delay(second.native());
  Gate gate(first);
  event.record(first.native());  // not passed before the gate opens
  second.synchronize();          // would hang
  CHECK_FALSE(event.done());
  gate.open = true;
  event.synchronize();
}

TEST_CASE("Event: a chain over three streams keeps its order, whatever stream is late") {
  cuda_double::reset();
  const std::array<cuda::Stream, 3> streams;
  for (const auto& late : streams) {
    cuda_double::delay(late.native(), 300us);
    std::array<cuda::Event, 2> events;
    int value = 1;
    for (int round = 0; round < 20; ++round) {
      cuda_double::enqueue(streams[0].native(), [&] { value += 1; });
      events[0].record(streams[0].native());
      streams[1].waits_for(events[0]);
      cuda_double::enqueue(streams[1].native(), [&] { value *= 3; });
      events[1].record(streams[1].native());
      streams[2].waits_for(events[1]);
      cuda_double::enqueue(streams[2].native(), [&] { value %= 1009; });
      events[0].record(streams[2].native());
      streams[0].waits_for(events[0]);
    }
    streams[0].synchronize();
    int expected = 1;
    for (int round = 0; round < 20; ++round) expected = (expected + 1) * 3 % 1009;
    CHECK(value == expected);
    cuda_double::delay(late.native(), 0us);
  }
}

TEST_CASE("Event: time between two") {
  cuda_double::reset();
  const cuda::Stream stream;
  cuda::Event begin(cuda::Event::Timing::yes), end(cuda::Event::Timing::yes), plain;
  begin.record(stream.native());
  cuda_double::enqueue(stream.native(), [] { std::this_thread::sleep_for(3ms); });
  end.record(stream.native());
  plain.record(stream.native());
  plain.synchronize();
  CHECK(end.milliseconds_since(begin) >= 3);
  CHECK_THROWS_AS(plain.milliseconds_since(begin), Error);  // has no timing
}

TEST_CASE("Event: one owner, and destroyed ones are gone") {
  cuda_double::reset();
  {
    cuda::Event first;
    const cudaEvent_t native = first.native();
    cuda::Event second = std::move(first);
    CHECK(second.native() == native);
    CHECK(first.native() == nullptr);
    CHECK(cuda_double::live_events() == 1);
  }
  CHECK(cuda_double::live_events() == 0);
}

TEST_CASE("Event: of one GPU, so not recorded on another's stream") {
  cuda_double::reset();
  cuda_double::set_devices(2);
  cuda::Event here;
  CHECK(cudaSetDevice(1) == cudaSuccess);
  const cuda::Stream there;
  CHECK_THROWS_AS(here.record(there.native()), Error);
  CHECK(cudaSetDevice(0) == cudaSuccess);
  here.delay(there.native());  // waiting is allowed
  there.synchronize();
  cuda_double::reset();
}

}  // namespace
