// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/nvtx_test.cpp: a tool that is linked into the test hears the ranges of steps, on both devices.
#include <cohort/run/cuda/nvtx.hpp>

#include <doctest/doctest.h>

#include <map>
#include <mutex>
#include <thread>

#include "support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

/// What a tool hears: ranges in order of their beginnings, by thread.
struct Heard {
  std::string name;
  std::uint64_t payload = 0;
  int depth = 0;
};
class Tool {
 public:
  static Tool& one() {
    static Tool tool;
    return tool;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    threads_.clear();
  }
  nvtxStringHandle_t registered(const char* text) {
    const std::lock_guard lock(mutex_);
    names_.push_back(text);
    return reinterpret_cast<nvtxStringHandle_t>(names_.size());
  }
  void push(const nvtxEventAttributes_t& e) {
    const std::lock_guard lock(mutex_);
    Thread& t = threads_[std::this_thread::get_id()];
    const auto name = reinterpret_cast<std::size_t>(e.message.registered);
    t.heard.push_back({names_.at(name - 1), e.payload.ullValue, t.depth++});
  }
  void pop() {
    const std::lock_guard lock(mutex_);
    --threads_[std::this_thread::get_id()].depth;
  }
  /// The ranges of each thread; every one was ended.
  std::vector<std::vector<Heard>> heard() {
    const std::lock_guard lock(mutex_);
    std::vector<std::vector<Heard>> all;
    for (const auto& [id, thread] : threads_) {
      CHECK(thread.depth == 0);
      all.push_back(thread.heard);
    }
    return all;
  }

 private:
  struct Thread {
    std::vector<Heard> heard;
    int depth = 0;
  };
  std::mutex mutex_;
  std::vector<std::string> names_;
  std::map<std::thread::id, Thread> threads_;
};

nvtxDomainHandle_t create(const char* name) {
  CHECK(std::string(name) == "cohort");
  static char domain;
  return reinterpret_cast<nvtxDomainHandle_t>(&domain);
}
nvtxStringHandle_t register_string(nvtxDomainHandle_t, const char* text) {
  return Tool::one().registered(text);
}
int push(nvtxDomainHandle_t, const nvtxEventAttributes_t* event) {
  Tool::one().push(*event);
  return 0;
}
int pop(nvtxDomainHandle_t) {
  Tool::one().pop();
  return 0;
}
int listen(NvtxGetExportTableFunc_t tables) {
  const auto* callbacks = static_cast<const NvtxExportTableCallbacks*>(tables(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned size = 0;
  callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table, &size);
  const auto set = [&](NvtxCallbackIdCore2 id, auto* function) {
    *table[id] = reinterpret_cast<NvtxFunctionPointer>(function);
  };
  set(NVTX_CBID_CORE2_DomainCreateA, &create);
  set(NVTX_CBID_CORE2_DomainRegisterStringA, &register_string);
  set(NVTX_CBID_CORE2_DomainRangePushEx, &push);
  set(NVTX_CBID_CORE2_DomainRangePop, &pop);
  return 1;
}

/// NVTX asks here, at its first call, for a tool that is a part of the program.
const bool listens = (InitializeInjectionNvtx2_fnptr = &listen) != nullptr;

using zoo::GptCase;
template <class... Ps>
using RunOf = Trainer<GptCase::Model, GptCase::Loss, DataParallel<FullShard>, GradAccum<2>,
                      ClipGradNorm, Ps...>;
using Run = RunOf<Nvtx>;
using Plan = Run::plan_type;

/// One step; what was heard, the thread with the most ranges first.
std::vector<std::vector<Heard>> hear(int ranks, StreamMode stream, bool gpu) {
  const Setup setup{.ranks = ranks, .each = 4, .stream = stream};
  const auto step = [&](auto& run, auto& world) {
    world.barrier();
    if (world.rank() == 0) Tool::one().clear();
    world.barrier();
    const auto batch = batch_of<GptCase>(setup, 0);
    const int first = 4 * world.rank();
    run.step(batch.x().samples(first, 4), batch.y().samples(first, 4));
  };
  if (gpu)
    on_gpu<Run>(ranks, options_of<Run, GptCase>(setup), step);
  else
    on_ranks<Run>(ranks, options_of<Run, GptCase>(setup), step);
  auto heard = Tool::one().heard();
  std::sort(heard.begin(), heard.end(), [](auto& a, auto& b) { return a.size() > b.size(); });
  return heard;
}

bool is_operation(const Heard& h) { return h.name.find('_') != std::string::npos; }
std::vector<Heard> operations(const std::vector<Heard>& all) {
  std::vector<Heard> found;
  std::copy_if(all.begin(), all.end(), std::back_inserter(found), is_operation);
  return found;
}
void check_program(const std::vector<Heard>& heard) {
  std::size_t i = 0;
  Plan::for_each_micro_batch([&]<MicroBatch M>() {
    for (const Op& op : Plan::template program<M>) {
      REQUIRE(i < heard.size());
      CHECK(heard[i].name == std::string(name(op.kind)) + " " + detail::subject(op));
      CHECK(heard[i].payload == op.count);
      ++i;
    }
  });
  CHECK(i == heard.size());
}
/// What the compute thread says, operations left out.
void check_compute(const std::vector<Heard>& heard) {
  std::vector<std::string> expected{"step"}, names;
  const auto units = unit_names<Plan>();
  for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {
    expected.push_back("micro-batch");
    for (const auto& unit : units) expected.push_back("forward " + unit);
    expected.push_back("loss");
    for (std::size_t u = units.size(); u-- > 0;) expected.push_back("backward " + units[u]);
  }
  expected.push_back("norm");
  expected.push_back("update");
  for (const Heard& h : heard)
    if (!is_operation(h)) names.push_back(h.name);
  CHECK(names == expected);
  for (const Heard& h : heard) {
    if (h.name == "step") CHECK(h.depth == 0);
    if (h.name == "micro-batch") CHECK(h.depth == 1);
    if (h.name.rfind("forward", 0) == 0) CHECK(h.depth == 2);
  }
}

TEST_CASE("Nvtx: the compute thread's ranges are the step, the worker's the plan's program") {
  const auto heard = hear(2, StreamMode::worker, false);
  REQUIRE(heard.size() == 4);
  for (int i = 0; i < 2; ++i) check_compute(heard[static_cast<std::size_t>(i)]);
  for (int i = 2; i < 4; ++i) check_program(heard[static_cast<std::size_t>(i)]);
}

TEST_CASE("Nvtx: inline and on a GPU the thread that issues operations has them inside its step") {
  for (const bool gpu : {false, true}) {
    CAPTURE(gpu);
    const auto heard = hear(2, StreamMode::on_compute_thread, gpu);
    REQUIRE(heard.size() == 2);
    for (const auto& mine : heard) {
      check_compute(mine);
      check_program(operations(mine));
      for (const Heard& h : operations(mine)) CHECK(h.depth >= 1);
    }
  }
}

TEST_CASE("Nvtx: the bits of a run without it, on both devices") {
  const Setup setup{.ranks = 2, .each = 4, .steps = 2};
  CHECK(all_same(train<Run, GptCase>(setup), train<RunOf<>, GptCase>(setup)[0]));
  CHECK(all_same(train_on_gpu<Run, GptCase>(setup), train_on_gpu<RunOf<>, GptCase>(setup)[0]));
}

}  // namespace
