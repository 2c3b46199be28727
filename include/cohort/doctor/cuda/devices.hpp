// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/cuda/devices.hpp: the driver and the toolkit, the GPUs that CUDA sees, and whether they reach each other.
#pragma once
#include <cuda_runtime_api.h>

#include <chrono>
#include <cohort/core/readable_bytes.hpp>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/system.hpp>
#include <cohort/doctor/within.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace cohort::checkup {

/// What the CUDA runtime says of one GPU.
struct CudaDevice {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  std::size_t bytes = 0;
  bool prohibited = false;  // compute mode

  friend bool operator==(const CudaDevice&, const CudaDevice&) = default;
};

/// What CUDA says. Versions as CUDA has them: 13000 is 13.0, 0 is none.
struct CudaMachine {
  int driver = 0, runtime = 0, header = CUDART_VERSION;
  cudaError_t error = cudaSuccess;  // of asking for GPUs
  std::vector<CudaDevice> devices;
  std::vector<std::pair<int, int>> apart;  // GPUs that cannot read each other's memory
};

/// Makes no context and takes no memory on any GPU.
inline CudaMachine cuda_machine() {
  CudaMachine out;
  cudaDriverGetVersion(&out.driver);
  cudaRuntimeGetVersion(&out.runtime);
  int count = 0;
  out.error = cudaGetDeviceCount(&count);
  if (out.error != cudaSuccess) count = 0;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    out.error = cudaGetDeviceProperties(&properties, i);
    if (out.error != cudaSuccess) break;
    int mode = cudaComputeModeDefault;
    cudaDeviceGetAttribute(&mode, cudaDevAttrComputeMode, i);
    out.devices.push_back({properties.name, properties.major, properties.minor,
                           properties.totalGlobalMem, mode == cudaComputeModeProhibited});
  }
  for (int a = 0; a < static_cast<int>(out.devices.size()); ++a) {
    for (int b = a + 1; b < static_cast<int>(out.devices.size()); ++b) {
      int there = 0, back = 0;
      cudaDeviceCanAccessPeer(&there, a, b);
      cudaDeviceCanAccessPeer(&back, b, a);
      if (there == 0 || back == 0) out.apart.emplace_back(a, b);
    }
  }
  cudaGetLastError();  // said here, not by the next kernel
  return out;
}

namespace detail {

inline std::string cuda_version(int version) {
  return phrase(version / 1000, ".", version % 1000 / 10);
}

inline void cuda_versions(const CudaMachine& cuda, Findings& out) {
  const std::string runtime = cuda_version(cuda.runtime), driver = cuda_version(cuda.driver);
  if (cuda.header / 1000 != cuda.runtime / 1000)
    out.problem(
        "toolkit",
        phrase("compiled for ", cuda_version(cuda.header), ", but the library is ", runtime),
        "Correct LD_LIBRARY_PATH, or compile the program again.");
  else
    out.ok("toolkit", runtime);
  if (cuda.driver == 0)
    out.note("driver", "none",
             "Nothing to do for ranks on the CPU; for GPUs install NVIDIA's driver.");
  else if (cuda.driver / 1000 < cuda.runtime / 1000)
    out.problem(
        "driver", phrase("for CUDA ", driver, " at most: too old for this program's ", runtime),
        phrase("Install a newer driver (nvidia-smi shows it), or compile with a CUDA toolkit ",
               cuda.driver / 1000, ".x."));
  else if (cuda.driver < cuda.runtime)
    out.note(
        "driver", phrase("for CUDA ", driver, ", older than this program's ", runtime),
        "Compile for exactly this GPU (CMAKE_CUDA_ARCHITECTURES): what the driver would have to "
        "compile itself, it cannot.");
  else
    out.ok("driver", phrase("for CUDA up to ", driver));
}

/// Equal ones on one line: "GPUs 0 to 7".
inline void cuda_devices(const CudaMachine& cuda, Findings& out) {
  const int count = static_cast<int>(cuda.devices.size());
  for (int first = 0, last = 0; first < count; first = last + 1) {
    const CudaDevice& gpu = cuda.devices[static_cast<std::size_t>(first)];
    for (last = first; last + 1 < count && cuda.devices[static_cast<std::size_t>(last) + 1] == gpu;)
      ++last;
    const std::string name =
        first == last ? phrase("GPU ", first) : phrase("GPUs ", first, " to ", last);
    const std::string found = phrase(gpu.name, ", compute capability ", gpu.major, ".", gpu.minor,
                                     ", ", readable_bytes(gpu.bytes));
    const int capability = gpu.major * 10 + gpu.minor;
    if (gpu.prohibited)
      out.problem(name, found + ", set to refuse programs", "Run nvidia-smi -c DEFAULT, as root.");
    else if (capability < 75)
      out.problem(name, found + ": cohort needs 7.5",
                  "Leave it out of CUDA_VISIBLE_DEVICES, or train on the CPU.");
    else if (capability < 80)
      out.note(name, found + ": no bf16",
               "Use MixedPrecision<fp16, fp32> with DynamicLossScale<>.");
    else
      out.ok(name, found);
  }
}

inline void cuda_peers(const CudaMachine& cuda, Findings& out) {
  if (cuda.devices.size() < 2) return;
  if (cuda.apart.empty()) return out.ok("peer access", "each GPU reaches each other one");
  std::vector<std::string> pairs;
  for (const auto& [a, b] : cuda.apart)
    if (pairs.size() < 4) pairs.push_back(phrase(a, "-", b));
  if (cuda.apart.size() > pairs.size()) pairs.push_back("...");
  out.note("peer access",
           phrase("none between GPUs ", listed(pairs), ": NCCL goes through the host"),
           "See nvidia-smi topo -m; virtual machines, IOMMU and PCIe ACS switch it off.");
}

}  // namespace detail

/// Nothing: CUDA did not answer in time.
inline std::vector<Finding> cuda_findings(const std::optional<CudaMachine>& cuda) {
  Findings out("CUDA");
  if (!cuda) {
    out.problem(
        "driver", "did not answer within 10 s",
        "Look at nvidia-smi and dmesg | grep -i nvrm: a GPU may have failed or be in reset.");
    return out.take();
  }
  detail::cuda_versions(*cuda, out);
  const bool no_driver = cuda->driver == 0 || cuda->driver / 1000 < cuda->runtime / 1000;
  if (cuda->error == cudaErrorNoDevice && cuda->driver != 0)
    out.warning("GPUs", "CUDA sees none",
                "Compare nvidia-smi -L with CUDA_VISIBLE_DEVICES, or train on the CPU.");
  else if (cuda->error != cudaSuccess && !no_driver)
    out.problem(
        "GPUs", phrase(cudaGetErrorName(cuda->error), ": ", cudaGetErrorString(cuda->error)),
        "Look at nvidia-smi and dmesg | grep -i nvrm; after an update of the driver, start the "
        "machine again.");
  detail::cuda_devices(*cuda, out);
  detail::cuda_peers(*cuda, out);
  return out.take();
}

/// For doctor(): what this program's CUDA sees.
inline std::vector<Finding> cuda(const System&) {
  return cuda_findings(within(std::chrono::seconds(10), cuda_machine));
}

}  // namespace cohort::checkup
