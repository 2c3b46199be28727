// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/whole_files.hpp: a small model's values, saved as whole tensors and loaded, by any strategy on any ranks.
#pragma once
#include <algorithm>
#include <atomic>
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/activations.hpp>
#include <cohort/nn/embedding.hpp>
#include <cohort/nn/frozen.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/run/weights.hpp>
#include <cohort/trainer.hpp>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "../io/files.hpp"

namespace cohort::test {

namespace fs = std::filesystem;

// Parameters of several chunks, so that ranks share them; one that is frozen.
using Head = nn::Linear<30, 23, nn::NoBias>;
using Model =
    nn::Sequential<nn::Embedding<23, 10>, nn::Frozen<nn::Linear<10, 30>>, nn::Gelu<30>, Head>;
template <class How, class... Ps>
using PlanFor = typename Trainer<Model, nn::CrossEntropy, DataParallel<How>, Groups<Each<Head>>,
                                 Ps...>::plan_type;

/// Element k of parameter i: exact in bf16.
inline float value(std::size_t i, std::size_t k) {
  return static_cast<float>((37 * i + 5 * k) % 253);
}

template <class Plan, class Storage> void fill(Storage& storage, float more) {
  storage.edit([&] {
    for (std::size_t i = 0; i < Plan::layout.params.size(); ++i)
      for (std::size_t k = 0; k < Plan::layout.params[i].numel; ++k)
        storage.write(Plan::layout.params[i], k, more < 0 ? more : value(i, k) + more);
  });
}
template <class How, class... Ps, class F> void on(int ranks, F f) {
  using Plan = PlanFor<How, Ps...>;
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    typename How::template Storage<Plan, Threads> storage(world, {});
    f.template operator()<Plan>(world, storage);
  });
}
template <class How, class... Ps>
void save(int ranks, const fs::path& path, const FullOptions& options = {}, float more = 0) {
  on<How, Ps...>(ranks, [&]<class Plan>(Threads& world, auto& storage) {
    fill<Plan>(storage, more);
    detail::save_full<Plan>(world, DefaultCpu{}, storage, path, options);
  });
}
/// Loads into a run whose elements are all -1; is each held element now what `expected` says?
template <class How, class... Ps, class F>
bool loads(int ranks, const fs::path& path, const FullOptions& options, F expected) {
  std::atomic<int> wrong{0}, seen{0};
  on<How, Ps...>(ranks, [&]<class Plan>(Threads&, auto& storage) {
    fill<Plan>(storage, -1);
    detail::FullLoad<Plan> load;
    load.open(path, options);
    load.read(DefaultCpu{}, storage);
    detail::for_each_state<Plan>(storage, false, [&](int kind, const HeldRun& run, auto* at) {
      if (kind != detail::state_value) return;
      seen += static_cast<int>(run.count);
      for (std::size_t k = 0; k < run.count; ++k)
        wrong += static_cast<float>(at[k]) !=
                 expected(static_cast<std::size_t>(run.param), run.first + k);
    });
  });
  return wrong == 0 && seen >= 230 + 330 + 690;
}

/// All files of a directory, names and bytes.
inline std::vector<std::pair<std::string, std::string>> contents(const fs::path& dir) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& entry : fs::directory_iterator(dir))
    all.emplace_back(entry.path().filename().string(), bytes_of(entry.path()));
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace cohort::test
