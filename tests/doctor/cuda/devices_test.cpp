// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/cuda/devices_test.cpp: drivers, GPUs and peers, on the double of CUDA.
#include <cohort/doctor/cuda/devices.hpp>

#include <doctest/doctest.h>

#include <support/cuda_double/double.hpp>

#include "../../support/fake_system.hpp"

using namespace cohort;
using checkup::CudaMachine;
using test::contains, test::found;

namespace {

std::vector<Finding> with(const CudaMachine& machine) {
  const auto all = checkup::cuda_findings(machine);
  CHECK(test::all_say_what_helps(all));
  return all;
}
const checkup::CudaDevice h100{"NVIDIA H100", 9, 0, std::size_t{80} << 30, false};
CudaMachine machine(int driver, int runtime) {
  return {driver, runtime, runtime, cudaSuccess, {h100}, {}};
}

}  // namespace

TEST_CASE("cuda devices: what the double says") {
  cuda_double::reset();
  cuda_double::set_devices(3);
  auto all = checkup::cuda(checkup::System{});
  CHECK(worst(all) == Verdict::ok);
  CHECK(found(all, "GPUs 0 to 2").found == "double of a GPU, compute capability 9.0, 80.00 GiB");
  CHECK(found(all, "peer access").verdict == Verdict::ok);
  CHECK(cuda_double::device_memory().allocations == 0);

  cuda_double::set_peer_access(false);
  all = checkup::cuda(checkup::System{});
  CHECK(found(all, "peer access").verdict == Verdict::note);
  CHECK(contains(found(all, "peer access").found, "0-1, 0-2, 1-2"));

  cuda_double::set_devices(0);
  all = checkup::cuda(checkup::System{});
  CHECK(found(all, "GPUs").found == "CUDA sees none");
  CHECK(cudaGetLastError() == cudaSuccess);  // nothing is left for the next call

  cuda_double::fail("cudaGetDeviceCount", 1, cudaErrorSystemNotReady);
  all = checkup::cuda(checkup::System{});
  CHECK(found(all, "GPUs").verdict == Verdict::problem);
  cuda_double::reset();
}

TEST_CASE("cuda devices: no driver, one that is too old, one that is a little older") {
  cuda_double::reset();
  cuda_double::set_versions(0, CUDART_VERSION);
  cuda_double::set_devices(0);
  CHECK(worst(checkup::cuda(checkup::System{})) == Verdict::note);
  cuda_double::set_versions(CUDART_VERSION - 1000, CUDART_VERSION);
  const Finding old = found(checkup::cuda(checkup::System{}), "driver");
  CHECK(old.verdict == Verdict::problem);
  CHECK(contains(old.found, "too old for this program's"));
  cuda_double::reset();

  CHECK(found(with(machine(12020, 13000)), "driver").found ==
        "for CUDA 12.2 at most: too old for this program's 13.0");
  CHECK(contains(found(with(machine(12020, 13000)), "driver").fix, "toolkit 12.x"));
  CHECK(found(with(machine(12020, 12040)), "driver").verdict == Verdict::note);
  CHECK(found(with(machine(13010, 13000)), "driver").verdict == Verdict::ok);
}

TEST_CASE("cuda devices: a library of another toolkit; no answer") {
  CudaMachine other = machine(13000, 12040);
  other.header = 13000;
  CHECK(found(with(other), "toolkit").verdict == Verdict::problem);
  const auto none = checkup::cuda_findings(std::nullopt);
  CHECK(none.front().verdict == Verdict::problem);
  CHECK(contains(none.front().found, "10 s"));
}

TEST_CASE("cuda devices: GPUs that are too old, without bf16, or closed; equal ones on one line") {
  CudaMachine mixed = machine(13000, 13000);
  mixed.devices = {
      h100, h100, {"Tesla T4", 7, 5, 1 << 30, false}, {"Tesla V100", 7, 0, 1 << 30, false}};
  mixed.devices.push_back(h100);
  mixed.devices.back().prohibited = true;
  const auto all = with(mixed);
  CHECK(found(all, "GPUs 0 to 1").verdict == Verdict::ok);
  CHECK(found(all, "GPU 2").verdict == Verdict::note);
  CHECK(contains(found(all, "GPU 2").fix, "fp16"));
  CHECK(found(all, "GPU 3").verdict == Verdict::problem);
  CHECK(found(all, "GPU 4").verdict == Verdict::problem);
}
