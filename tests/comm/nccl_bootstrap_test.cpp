// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_bootstrap_test.cpp: each rank finds its GPU and the others, or a sentence says why not.
#include <cohort/comm/nccl_bootstrap.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

using namespace cohort;
using namespace std::chrono_literals;

namespace {

/// An environment of the test's own.
struct Environment {
  std::map<std::string, std::string> variables;
  const char* operator()(const char* name) const {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  }
};

template <class F> std::string refusal(F f) {
  try {
    f();
  } catch (const InvalidInput& e) {
    return e.what();
  }
  return "accepted";
}
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const Launcher second_of_4{LauncherKind::torchrun, 1, 4, 1, 4};

TEST_CASE("nccl_gpus: the named ones, or the first of as many ranks, or one") {
  CHECK(detail::nccl_gpus({}, 8) == std::vector{0});
  CHECK(detail::nccl_gpus({.ranks = 3}, 8) == std::vector{0, 1, 2});
  CHECK(detail::nccl_gpus({.gpus = {5, 2}}, 8) == std::vector{5, 2});
  CHECK(detail::nccl_gpus({.ranks = 2, .gpus = {5, 2}}, 8) == std::vector{5, 2});
}

TEST_CASE("nccl_gpus: GPUs that are not there, twice, or not as many as ranks, are refused") {
  CHECK(contains(refusal([] { detail::nccl_gpus({.ranks = 4}, 2); }),
                 "would need GPU 2 but this process sees 2"));
  CHECK(contains(refusal([] { detail::nccl_gpus({.gpus = {0, 8}}, 8); }), "GPU 8"));
  CHECK(contains(refusal([] { detail::nccl_gpus({.gpus = {-1}}, 8); }), "GPU -1"));
  CHECK(contains(refusal([] { detail::nccl_gpus({.gpus = {1, 1}}, 8); }), "GPU 1 is named twice"));
  CHECK(contains(refusal([] { detail::nccl_gpus({.gpus = {1, 1}}, 8); }), "SharedGpu"));
  CHECK(contains(refusal([] {
                   detail::nccl_gpus({.ranks = 3, .gpus = {0, 1}}, 8);
                 }),
                 "3 ranks were asked for on 2 GPUs"));
}

TEST_CASE("nccl_seat: the process's number on its machine chooses the GPU") {
  const Environment none;
  CHECK(detail::nccl_seat({}, second_of_4, 8, none) == detail::NcclSeat{1, 4, 1});
  CHECK(detail::nccl_seat({.ranks = 4}, second_of_4, 8, none) == detail::NcclSeat{1, 4, 1});
  // srun: rank 13 is process 5 of its machine.
  CHECK(detail::nccl_seat({}, {LauncherKind::slurm, 13, 16, 5, -1}, 8, none) ==
        detail::NcclSeat{13, 16, 5});
  // One process, whose launcher does not number it.
  CHECK(detail::nccl_seat({}, {LauncherKind::hydra, 0, 1, -1, -1}, 8, none) ==
        detail::NcclSeat{0, 1, 0});
}

TEST_CASE("nccl_seat: a process that is shown one GPU of its own takes it") {
  const Environment shown{{{"CUDA_VISIBLE_DEVICES", "3"}}};
  CHECK(detail::nccl_seat({}, {LauncherKind::slurm, 3, 4, 3, -1}, 1, shown) ==
        detail::NcclSeat{3, 4, 0});
  CHECK(detail::nccl_seat({}, {LauncherKind::hydra, 3, 4, -1, -1}, 1, shown) ==
        detail::NcclSeat{3, 4, 0});
  CHECK(detail::nccl_seat({}, {LauncherKind::slurm, 3, 4, 0, -1}, 1, Environment{}) ==
        detail::NcclSeat{3, 4, 0});
}

TEST_CASE(
    "nccl_seat: too few GPUs, no local number, --gpus or other --ranks under a launcher are "
    "refused") {
  const Environment none, shown{{{"CUDA_VISIBLE_DEVICES", "0,1"}}};
  const auto words = refusal([&] {
    detail::nccl_seat({}, {LauncherKind::torchrun, 2, 4, 2, 4}, 2, shown);
  });
  CHECK(contains(words, "this is process 2 (from 0) on this machine but it sees 2 GPUs"));
  CHECK(contains(words, "CUDA_VISIBLE_DEVICES is '0,1'"));
  CHECK(contains(refusal([&] { detail::nccl_seat({}, second_of_4, 1, none); }),
                 "it sees 1 GPU (CUDA_VISIBLE_DEVICES is not set)"));
  CHECK(contains(refusal([&] {
                   detail::nccl_seat({}, {LauncherKind::hydra, 3, 4, -1, -1}, 8, none);
                 }),
                 "set LOCAL_RANK"));
  CHECK(contains(refusal([&] { detail::nccl_seat({.gpus = {0}}, second_of_4, 8, none); }),
                 "torchrun started 4 processes"));
  CHECK(contains(refusal([&] { detail::nccl_seat({.ranks = 2}, second_of_4, 8, none); }),
                 "2 ranks were asked for but torchrun started 4"));
}

TEST_CASE(
    "nccl_in_threads: without a launcher, or alone with --gpus; several load all kernels first") {
  const auto loading = [](const LaunchOptions& options, const std::vector<Launcher>& found,
                          const char* before = nullptr) {
    unsetenv("CUDA_MODULE_LOADING");
    if (before != nullptr) setenv("CUDA_MODULE_LOADING", before, 1);
    const bool threads = detail::nccl_in_threads(options, found);
    const char* after = std::getenv("CUDA_MODULE_LOADING");
    return std::pair(threads, std::string(after == nullptr ? "" : after));
  };
  const std::vector<Launcher> none, alone{{LauncherKind::torchrun, 0, 1, 0, 1}}, of_4{second_of_4};
  using Seen = std::pair<bool, std::string>;
  CHECK(loading({}, none) == Seen{true, ""});
  CHECK(loading({.gpus = {3}}, none) == Seen{true, ""});
  CHECK(loading({.ranks = 2}, none) == Seen{true, "EAGER"});
  CHECK(loading({.gpus = {0, 1}}, none) == Seen{true, "EAGER"});
  CHECK(loading({.gpus = {0, 1}}, alone) == Seen{true, "EAGER"});
  CHECK(loading({.gpus = {0, 1}}, none, "LAZY") == Seen{true, "LAZY"});
  CHECK(loading({.ranks = 4}, of_4) == Seen{false, ""});
  CHECK(loading({}, alone) == Seen{false, ""});
  unsetenv("CUDA_MODULE_LOADING");
}

TEST_CASE("refuse_blocking: NCCL_COMM_BLOCKING=1, as NCCL reads it") {
  const auto with = [](const char* value) {
    return refusal([&] {
      detail::refuse_blocking(2, Environment{{{"NCCL_COMM_BLOCKING", value}}});
    });
  };
  for (const char* refused : {"1", "0x1", " 1", "1 "}) {
    CAPTURE(refused);
    CHECK(contains(with(refused), "rank 2: launch: NCCL_COMM_BLOCKING=1"));
    CHECK(contains(with(refused), "Unset it"));
  }
  for (const char* fine : {"0", "", "-1", "2", "yes"}) {
    CAPTURE(fine);
    CHECK_NOTHROW(detail::refuse_blocking(2, Environment{{{"NCCL_COMM_BLOCKING", fine}}}));
  }
  CHECK_NOTHROW(detail::refuse_blocking(2, Environment{}));
}

TEST_CASE("nccl_retries: as long as the timeout, from NCCL's minute to ten") {
  const auto lasts = [](int n) { return 100ms * (n * (n + 1) / 2); };
  for (const std::chrono::milliseconds timeout : {1ms, 59500ms, 59501ms, 300000ms, 600000ms}) {
    const int n = detail::nccl_retries(timeout);
    CHECK(lasts(n) >= timeout);
    CHECK((n == 34 || lasts(n - 1) < timeout));
  }
  CHECK(detail::nccl_retries(59500ms) == 34);
  CHECK(detail::nccl_retries(24h * 365) == detail::nccl_retries(600s));
}

TEST_CASE(
    "nccl_unique_id: at a meeting point NCCL tries for the timeout, unless it was told how often") {
  const auto retries = [] { return std::string(std::getenv("NCCL_SOCKET_RETRY_CNT")); };
  unsetenv("NCCL_SOCKET_RETRY_CNT");
  detail::nccl_unique_id("", 600s);
  CHECK(std::getenv("NCCL_SOCKET_RETRY_CNT") == nullptr);
  detail::nccl_unique_id("127.0.0.1:29500", 600s);
  CHECK(retries() == "110");
  setenv("NCCL_SOCKET_RETRY_CNT", "3", 1);
  detail::nccl_unique_id("127.0.0.1:29500", 600s);
  CHECK(retries() == "3");
  unsetenv("NCCL_SOCKET_RETRY_CNT");
  unsetenv("NCCL_COMM_ID");
}

TEST_CASE(
    "nccl_unique_id: every process makes the same one for a meeting point, another one without") {
  const auto same = [](const ncclUniqueId& a, const ncclUniqueId& b) {
    return std::memcmp(a.internal, b.internal, sizeof a.internal) == 0;
  };
  unsetenv("NCCL_COMM_ID");
  CHECK_FALSE(same(detail::nccl_unique_id(""), detail::nccl_unique_id("")));
  CHECK(same(detail::nccl_unique_id("127.0.0.1:29500"), detail::nccl_unique_id("127.0.0.1:29500")));
  CHECK_FALSE(
      same(detail::nccl_unique_id("127.0.0.1:29500"), detail::nccl_unique_id("127.0.0.1:29501")));
  unsetenv("NCCL_COMM_ID");
}

}  // namespace
