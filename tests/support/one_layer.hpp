// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/one_layer.hpp: runs one layer alone, in memory of exactly the planned size.
#pragma once
#include <algorithm>
#include <cohort/concepts/layer.hpp>
#include <cohort/core/rng.hpp>
#include <cohort/ops/default_gemm.hpp>
#include <cohort/plan/layout.hpp>
#include <string>
#include <vector>

namespace cohort::zoo {

/// The memory of a OneLayer; compiled once for all of them.
struct OneLayerMemory {
  struct Bytes {
    std::size_t activations = 0, backward = 0, scratch = 0;
  };
  OneLayerMemory(std::size_t params, std::size_t grads, std::size_t averages, std::size_t touched,
                 Bytes bytes)
      : params_(params),
        grads_(grads),
        averages_(averages),
        activations_("activation", bytes.activations),
        backward_("backward", bytes.backward),
        scratch_("scratch", bytes.scratch),
        touched_(touched) {}

  const Arena& activations() const { return activations_; }
  const Arena& backward() const { return backward_; }
  const Arena& scratch() const { return scratch_; }

 protected:
  HostMemory params_, grads_, averages_;
  Arena activations_, backward_, scratch_;
  std::vector<std::uint8_t> touched_;
};

/// Owns what one layer of type L computes with: parameters, gradients, and arenas of the bytes that
/// its types announce (or of others, to see what happens then).
///
///   OneLayer<nn::Linear<3, 2>, double> layer({2, 1});
///   layer.set("weight", values);
///   layer.run(x, dy);   // fills y, dx and gradients; throws what the layer throws
template <class L, class T = float> class OneLayer : public OneLayerMemory {
 public:
  using D = accumulator_t<T>;  // of gradients
  using Train = Context<DefaultCpu, T, Phase::train>;
  using Back = Context<DefaultCpu, T, Phase::backward>;
  using Evaluate = Context<DefaultCpu, T, Phase::evaluate>;
  static constexpr bool takes_tokens = std::is_same_v<typename L::Input, Tokens>;
  using X = std::conditional_t<takes_tokens, int, T>;
  using Kept = decltype(cohort::forward(std::declval<Train&>(),
                                        std::declval<const FlatView<L, ParamCursor<T>>&>(),
                                        std::declval<value_of<typename L::Input, T>>())
                            .saved);

  static constexpr Bytes planned(Rows rows) {
    return {Kept::bytes(rows), backward_bytes<L, T>(rows).peak, scratch_bytes<L, T>(rows)};
  }

  explicit OneLayer(Rows rows) : OneLayer(rows, planned(rows)) {}
  OneLayer(Rows rows, Bytes bytes)
      : OneLayerMemory(flat_size<L>() * sizeof(T), flat_size<L>() * sizeof(D),
                       std::max<std::size_t>(1, subtree<L>().averaged) * sizeof(D),
                       static_cast<std::size_t>(num_params<L>()) + 1, bytes),
        rows_(rows) {}

  /// Normal parameters of deviation 0.3, so that deep layers stay finite; padding left at zero.
  void draw(std::uint64_t seed) {
    for (std::size_t i = 0; i < layout.params.size(); ++i) {
      const ParamInfo& p = layout.params[i];
      for (std::size_t k = 0; !p.averages() && k < p.numel; ++k)
        params_.template as<T>()[p.offset + k] = static_cast<T>(0.3 * normal(seed, i, k));
    }
  }
  template <class V> void set(const std::string& name, const std::vector<V>& values) {
    const std::size_t at = find(name).offset;
    for (std::size_t k = 0; k < values.size(); ++k) {
      if (at < first_average)
        params_.template as<T>()[at + k] = static_cast<T>(values[k]);
      else
        averages_.template as<D>()[at - first_average + k] = static_cast<D>(values[k]);
    }
  }
  std::vector<T> parameter(const std::string& name) const {
    return range(params_.template as<T>(), name);
  }
  std::vector<D> gradient(const std::string& name) const {
    return range(grads_.template as<D>(), name);
  }
  /// What the gradient buffer holds before run(): first contributions must overwrite it.
  void fill_gradients(D value) { std::fill_n(grads_.template as<D>(), first_average, value); }
  /// The next run overwrites gradients; without this call it adds, as later micro-batches do.
  void begin_step() {
    std::fill(touched_.begin(), touched_.end(), std::uint8_t{0});
    std::fill_n(grads_.template as<D>() + first_average, subtree<L>().averaged, D(0));
  }

  std::vector<T> y, dx;
  /// What layers draw from follows from these.
  std::uint64_t seed_of_draws = 11;
  std::int64_t steps = 0;

  // Not inlined: g++ 12 would see the sizes of the tests' small vectors, but not that rows go with
  // them, and warn about whole registers that are never read.
  [[gnu::noinline]] void run(const std::vector<X>& x, const std::vector<T>& dy) {
    activations_.release({});
    backward_.release({});
    Random upcoming({seed_of_draws, &steps, 0, 1});
    const Train ctx(device_, activations_, scratch_, Arena::End::low, nullptr, &upcoming);
    const Back back(device_, backward_, scratch_);
    const FlatView<L, ParamCursor<T>> p(parameters());
    const FlatView<L, GradCursor<D>> g(
        {grads_.template as<D>(), touched_.data(), grads_.template as<D>() + first_average});
    const auto r = cohort::forward(ctx, p, input(x));
    y.assign(r.y.data, r.y.data + r.y.size());
    const Tensor<const T, L::Output::extent> seed{dy.data(), rows_};
    const auto gradient = cohort::backward(back, p, r.saved, seed, g);
    if constexpr (!takes_tokens) dx.assign(gradient.data, gradient.data + gradient.size());
  }
  /// The output of forward in evaluation; activations lie in an arena of the training's size.
  [[gnu::noinline]] std::vector<T> evaluate(const std::vector<X>& x) {
    activations_.release({});
    const Evaluate ctx(device_, activations_, scratch_);
    const FlatView<L, ParamCursor<T>> p(parameters());
    const auto out = cohort::forward(ctx, p, input(x)).y;
    return {out.data, out.data + out.size()};
  }

 private:
  static constexpr Layout<L, CutAtRepeat> layout{};
  static constexpr std::size_t first_average = layout.first_averaged;
  ParamCursor<T> parameters() const {
    return flat_cursor<L, T>(params_.template as<T>(), averages_.template as<D>());
  }
  value_of<typename L::Input, T> input(const std::vector<X>& x) const { return {x.data(), rows_}; }
  static const ParamInfo& find(const std::string& name) {
    const std::vector<std::string> names = parameter_names<L>();
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end()) throw InvalidInput(-1, "OneLayer", "no parameter " + name);
    return layout.params[static_cast<std::size_t>(at - names.begin())];
  }
  template <class E> static std::vector<E> range(const E* flat, const std::string& name) {
    const ParamInfo& p = find(name);
    return {flat + p.offset, flat + p.offset + p.numel};
  }

  Rows rows_;
  DefaultCpu device_;
};

/// Standard normal values.
template <class T = float> std::vector<T> normals(std::size_t count, std::uint64_t seed) {
  std::vector<T> out(count);
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<T>(normal(seed, 200, i));
  return out;
}

}  // namespace cohort::zoo
