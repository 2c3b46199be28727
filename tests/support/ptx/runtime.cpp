// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/runtime.cpp: the part of libcudart that code of nvcc calls: registration and launches.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <support/cuda_double/state.hpp>
#include <support/ptx/fatbin.hpp>
#include <support/ptx/runtime.hpp>
#include <unordered_map>

namespace cohort::ptx {

namespace {
struct Kernel {
  const void* binary;
  std::string name;
};
/// What objects have registered, before main().
struct Registry {
  ~Registry();
  std::mutex mutex;
  std::unordered_map<const void*, std::unique_ptr<Module>> modules;  // by fat binary, once needed
  std::unordered_map<const void*, Kernel> kernels;                   // by their place on the host
  std::map<std::string, Totals> taken, all;  // not yet taken; since the beginning
};
Registry& registry() {
  static Registry registry;
  return registry;
}
Registry::~Registry() {
  const char* path = std::getenv("COHORT_PTX_COUNTS");
  std::FILE* file = path == nullptr ? nullptr : std::fopen(path, "a");
  if (file == nullptr) return;
  for (const auto& [name, t] : all) {
    const Counts& c = t.counts;
    std::fprintf(file, "{\"kernel\": \"%s\", \"launches\": %d, \"blocks\": %llu", name.c_str(),
                 t.launches, static_cast<unsigned long long>(t.blocks));
    const auto say = [&](const char* what, std::uint64_t n) {
      std::fprintf(file, ", \"%s\": %llu", what, static_cast<unsigned long long>(n));
    };
    constexpr const char* names[] = {"integer", "fp32",   "fp64",   "special",
                                     "tensor",  "memory", "control"};
    for (std::size_t i = 0; i < pipes; ++i) say(names[i], c.instructions[i]);
    say("lanes", c.lanes);
    say("load_bytes", c.load_bytes), say("load_sectors", c.load_sectors);
    say("store_bytes", c.store_bytes), say("store_sectors", c.store_sectors);
    say("shared_passes", c.shared_passes), say("shared_least", c.shared_least);
    say("local_bytes", c.local_bytes), say("atomics", c.atomics), say("unwatched", c.unwatched);
    std::fprintf(file, "}\n");
  }
  std::fclose(file);
}

unsigned architecture() {
  const char* given = std::getenv("COHORT_PTX_ARCHITECTURE");
  return given == nullptr ? 90 : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
}
const Program& program_of(const void* host) {
  Registry& all = registry();
  Module* module = nullptr;
  std::string name;
  {
    const std::lock_guard lock(all.mutex);
    const auto found = all.kernels.find(host);
    if (found == all.kernels.end()) throw Mistake("a kernel that nobody registered is launched");
    auto& known = all.modules[found->second.binary];
    if (!known) known = std::make_unique<Module>(text_of(found->second.binary, architecture()));
    module = known.get();
    name = found->second.name;
  }
  return module->program(name);
}
std::string short_name(const std::string& mangled) {
  std::string name = cuda_double::demangled(mangled.c_str());
  for (const char* lead : {"void cohort::cuda::detail::run<", "void "})
    if (name.starts_with(lead)) return name.substr(std::string(lead).size());
  return name;
}
std::pair<std::uint64_t, std::uint64_t> allocation(std::uint64_t address) {
  const auto [begin, bytes] = cuda_double::allocation(reinterpret_cast<const void*>(address));
  return {reinterpret_cast<std::uintptr_t>(begin), bytes};
}

cudaError_t launch(const void* host, dim3 grid, dim3 block, void** args, std::size_t shared,
                   cudaStream_t stream) {
  std::shared_ptr<std::vector<std::uint64_t>> params;
  const Program* program = nullptr;
  try {
    program = &program_of(host);
  } catch (const Mistake& mistake) {
    std::fprintf(stderr, "support/ptx: %s\n", mistake.what());
    return cudaErrorInvalidKernelImage;
  }
  if (grid.y != 1 || grid.z != 1 || block.y != 1 || block.z != 1 || grid.x == 0 || block.x == 0 ||
      block.x > static_cast<unsigned>(program->most_threads))
    return cudaErrorInvalidConfiguration;
  if (program->shared_bytes + shared > cuda_double::shared_limit(host))
    return cudaErrorInvalidValue;
  params = std::make_shared<std::vector<std::uint64_t>>((program->parameter_bytes + 15) / 8);
  for (std::size_t i = 0; i < program->parameters.size(); ++i)
    std::memcpy(reinterpret_cast<std::byte*>(params->data()) + program->parameters[i].offset,
                args[i], program->parameters[i].bytes);
  const std::string name = short_name(program->name);
  return cuda_double::launch(
      {cuda_double::Record::kernel, stream, name, static_cast<int>(grid.x),
       static_cast<int>(block.x), shared, false, false},
      [=] {
        Launch what;
        what.blocks = static_cast<int>(grid.x), what.threads = static_cast<int>(block.x);
        what.shared_bytes = shared;
        what.params = std::as_bytes(std::span(*params)).first(program->parameter_bytes);
        what.backwards = cuda_double::order() == cuda_double::Order::backward;
        what.allocation = &allocation;
        try {
          const Counts counts = run(*program, what);
          const std::lock_guard lock(registry().mutex);
          for (Totals* t : {&registry().taken[name], &registry().all[name]}) {
            ++t->launches;
            t->blocks += grid.x;
            t->counts += counts;
          }
        } catch (const Mistake& mistake) {
          cuda_double::report_failure(name + ": " + mistake.what());
        }
      });
}

struct Configuration {
  dim3 grid, block;
  std::size_t shared;
  cudaStream_t stream;
};
thread_local std::vector<Configuration> configurations;
}  // namespace

std::map<std::string, Totals> take_totals() {
  const std::lock_guard lock(registry().mutex);
  return std::exchange(registry().taken, {});
}

}  // namespace cohort::ptx

using namespace cohort::ptx;  // the rest is nothing but CUDA's functions

extern "C" {

void** __cudaRegisterFatBinary(void* binary) {
  registry();
  cohort::cuda_double::set_properties(132, static_cast<int>(architecture() / 10),
                                      static_cast<int>(architecture() % 10));
  return new void*(binary);
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void** handle) { delete handle; }
char __cudaInitModule(void**) { return 1; }
void __cudaRegisterFunction(void** handle, const char* host, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  const std::lock_guard lock(registry().mutex);
  registry().kernels[host] = {*handle, name};
}
void __cudaRegisterVar(void**, char*, char*, const char*, int, std::size_t, int, int) {}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared,
                                     CUstream_st* stream) {
  configurations.push_back({grid, block, shared, stream});
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* stream) {
  const Configuration last = configurations.back();
  configurations.pop_back();
  *grid = last.grid, *block = last.block, *shared = last.shared;
  *static_cast<cudaStream_t*>(stream) = last.stream;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  *kernel = static_cast<cudaKernel_t>(const_cast<void*>(host));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** args,
                               std::size_t shared, cudaStream_t stream) {
  return cohort::cuda_double::returned(launch(kernel, grid, block, args, shared, stream));
}
cudaError_t cudaLaunchKernel(const void* host, dim3 grid, dim3 block, void** args,
                             std::size_t shared, cudaStream_t stream) {
  return cohort::cuda_double::returned(launch(host, grid, block, args, shared, stream));
}

}  // extern "C"
