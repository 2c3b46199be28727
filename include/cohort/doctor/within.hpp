// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/within.hpp: a call that may hang (a name server, a disk, a driver) is waited for so long and no longer.
#pragma once
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

namespace cohort::checkup {

/// What f() returns; nothing if it takes longer than `time`, throws, or no thread can be had. When it is
/// late it goes on by itself, so it must own all that it uses.
template <class F> auto within(std::chrono::milliseconds time, F f) {
  using Result = std::invoke_result_t<F>;
  struct Answer {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result> result;
    bool done = false;
  };
  const auto answer = std::make_shared<Answer>();
  try {
    std::thread([answer, f = std::move(f)]() mutable {
      std::optional<Result> result;
      try {
        result.emplace(f());
      } catch (const std::exception&) {
        result.reset();
      }
      const std::lock_guard lock(answer->mutex);
      answer->result = std::move(result);
      answer->done = true;
      answer->changed.notify_all();
    }).detach();
  } catch (const std::exception&) {
    return std::optional<Result>();
  }
  std::unique_lock lock(answer->mutex);
  answer->changed.wait_for(lock, time, [&] { return answer->done; });
  return std::exchange(answer->result, std::nullopt);
}

}  // namespace cohort::checkup
