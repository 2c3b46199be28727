// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/cuda/nvtx.hpp: a step as nested ranges of NVTX, on the CPU and on GPUs.
#pragma once
#if !__has_include(<nvtx3/nvToolsExt.h>)
#error \
    "cohort: Nvtx needs the headers of NVTX 3. Install CUDA's or NVIDIA's NVTX, and add their folder."
#endif
#include <nvtx3/nvToolsExt.h>

#include <array>
#include <cohort/plan/print.hpp>
#include <cohort/plan/unit_names.hpp>
#include <cohort/run/timeline.hpp>

namespace cohort::detail {

/// The domain and the registered names under which a run's ranges appear. A name that was registered is a
/// handle: pushing a range passes no text.
template <class Plan> class NvtxNames {
 public:
  using Name = nvtxStringHandle_t;

  NvtxNames() : domain_(begun_domain()) {
    for (std::size_t a = 0; a < activities_.size(); ++a)
      activities_[a] = registered(std::string(name(static_cast<Activity>(a))));
    const std::vector<std::string> units = unit_names<Plan>();
    for (std::size_t u = 0; u < units.size(); ++u) {
      forward_[u] = registered("forward " + units[u]);
      backward_[u] = registered("backward " + units[u]);
    }
  }
  NvtxNames(const NvtxNames&) = delete;
  ~NvtxNames() { nvtxDomainDestroy(domain_); }

  Name of(Activity a, int unit) const {
    if (a == Activity::forward) return forward_[static_cast<std::size_t>(unit)];
    if (a == Activity::backward) return backward_[static_cast<std::size_t>(unit)];
    return activities_[static_cast<std::size_t>(a)];
  }
  Name registered(const std::string& text) const {
    return nvtxDomainRegisterStringA(domain_, text.c_str());
  }
  nvtxDomainHandle_t domain() const { return domain_; }

 private:
  /// NVTX's first call, whichever it is, writes its table of functions while other threads may read it: so the
  /// first one is made once, and every rank waits for it.
  static nvtxDomainHandle_t begun_domain() {
    [[maybe_unused]] static const bool begun = (nvtxInitialize(nullptr), true);
    return nvtxDomainCreateA("cohort");
  }

  nvtxDomainHandle_t domain_;
  std::array<Name, static_cast<std::size_t>(Activity::operation) + 1> activities_{};
  std::array<Name, static_cast<std::size_t>(Plan::num_units)> forward_{}, backward_{};
};

/// Pushes and pops ranges on the thread that calls: the rank's for compute and for all that is queued on
/// a GPU, the worker's for operations that it runs. `payload` of an operation is its number of elements.
template <class Plan> class Timeline<Plan, Nvtx> {
 public:
  using Report = StepReport;

  class Range {
   public:
    Range(nvtxDomainHandle_t domain, nvtxStringHandle_t name, std::uint64_t payload)
        : domain_(domain) {
      push(domain, name, payload);
    }
    Range(const Range&) = delete;
    ~Range() { nvtxDomainRangePop(domain_); }

    static void push(nvtxDomainHandle_t domain, nvtxStringHandle_t name, std::uint64_t payload) {
      nvtxEventAttributes_t event{};
      event.version = NVTX_VERSION;
      event.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
      event.payloadType = NVTX_PAYLOAD_TYPE_UNSIGNED_INT64;
      event.payload.ullValue = payload;
      event.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
      event.message.registered = name;
      nvtxDomainRangePushEx(domain, &event);
    }

   private:
    nvtxDomainHandle_t domain_;
  };

  Timeline() {
    Plan::for_each_kind([&]<MicroBatch M>() {
      auto& names = operations_[static_cast<std::size_t>(M)];
      int i = 0;
      for (const Op& op : Plan::template program<M>)
        names[static_cast<std::size_t>(i++)] =
            names_.registered(std::string(name(op.kind)) + " " + subject(op));
    });
  }

  template <class Number> void begin_step(Number) {
    Range::push(names_.domain(), names_.of(Activity::step, 0), ++begun_);
  }
  void end_step() { nvtxDomainRangePop(names_.domain()); }
  template <MicroBatch M> void begin() {
    program_ = Plan::template program<M>.begin();
    now_ = &operations_[static_cast<std::size_t>(M)];
  }
  template <Activity A> auto span(int unit = -1) {
    return Range(names_.domain(), names_.of(A, unit), 0);
  }
  template <Activity A, class Number> auto between_steps(Number) {
    return Range(names_.domain(), names_.of(A, -1), begun_);
  }
  static Unwatched wait(int, bool) { return {}; }
  static Unwatched wait_for_all(bool) { return {}; }
  auto operation(const Op& op, bool) {
    return Range(names_.domain(), (*now_)[static_cast<std::size_t>(&op - program_)], op.count);
  }

 private:
  static constexpr std::size_t most_ops() {
    int most = 0;
    Plan::for_each_kind(
        [&]<MicroBatch M>() { most = std::max(most, Plan::template program<M>.count); });
    return static_cast<std::size_t>(std::max(most, 1));
  }
  using OperationNames = std::array<nvtxStringHandle_t, most_ops()>;

  NvtxNames<Plan> names_;
  std::array<OperationNames, 4> operations_{};  // by kind of micro-batch
  const OperationNames* now_ = nullptr;
  const Op* program_ = nullptr;
  std::uint64_t begun_ = 0;
};

}  // namespace cohort::detail
