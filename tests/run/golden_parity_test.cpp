// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/golden_parity_test.cpp: twenty clipped AdamW steps of two GPTs are as close to fp64 as
// PyTorch's own, on one and several ranks (tests/golden/gpt_golden.py wrote the other side).
#include <cohort/cohort.hpp>

#include <doctest/doctest.h>

#include "../golden/golden.hpp"

using namespace cohort;

namespace {

constexpr int vocabulary = 61, block = 16, layers = 2, heads = 2, channels = 32, rows = 12;

template <class Bias, class Gelu>
using Block =
    nn::Sequential<nn::Residual<nn::Sequential<nn::LayerNorm<channels, Bias>,
                                               nn::Attention<channels, heads, nn::Causal, Bias>>>,
                   nn::Residual<nn::Sequential<
                       nn::LayerNorm<channels, Bias>, nn::Linear<channels, 4 * channels, Bias>,
                       nn::Gelu<4 * channels, Gelu>, nn::Linear<4 * channels, channels, Bias>>>>;

/// No biases, exact GELU, head tied to the token table.
struct Tied {
  using Model =
      nn::TiedEmbedding<vocabulary, channels,
                        nn::Sequential<nn::AddPosition<block, channels>,
                                       nn::Repeat<layers, Block<nn::NoBias, ops::GeluErf>>,
                                       nn::LayerNorm<channels, nn::NoBias>>>;
  static constexpr const char *file = "tied", *start_file = "tied";
  static std::string name(const std::string& ours) {
    if (ours == "weight") return "transformer.wte.weight";
    return ours.starts_with("body.") ? ours.substr(5) : ours;
  }
  static constexpr const char* children[] = {"wpe", "h", "ln_f"};
};
/// Biases, tanh GELU, a head of its own.
struct Untied {
  using Model =
      nn::Sequential<nn::Embedding<vocabulary, channels>, nn::AddPosition<block, channels>,
                     nn::Repeat<layers, Block<nn::WithBias, ops::GeluTanh>>,
                     nn::LayerNorm<channels>, nn::Linear<channels, vocabulary, nn::NoBias>>;
  static constexpr const char *file = "untied", *start_file = "untied";
  static std::string name(const std::string& ours) { return ours; }
  static constexpr const char* children[] = {"wte", "wpe", "h", "ln_f", "lm_head"};
};
/// The same with requires_grad_(False) on the token table and on the attention of every block.
struct PartlyFrozen : Untied {
  template <class B> struct HalfFrozen;
  template <class Attend, class Dense> struct HalfFrozen<nn::Sequential<Attend, Dense>> {
    using type = nn::Sequential<nn::Frozen<Attend>, Dense>;
  };
  using Model = nn::Sequential<
      nn::Frozen<nn::Embedding<vocabulary, channels>>, nn::AddPosition<block, channels>,
      nn::Repeat<layers, typename HalfFrozen<Block<nn::WithBias, ops::GeluTanh>>::type>,
      nn::LayerNorm<channels>, nn::Linear<channels, vocabulary, nn::NoBias>>;
  static constexpr const char* file = "frozen";
};

/// Our parameter's name in nanoGPT: "2.1.0.inner.1.qkv.bias" -> "transformer.h.1.attn.c_attn.bias".
template <class Variant> std::string torch_name(const std::string& ours) {
  const std::string name = Variant::name(ours);
  if (name.starts_with("transformer.")) return name;
  const std::string child = Variant::children[name[0] - '0'], rest = name.substr(2);
  if (child != "h") return (child == "lm_head" ? "" : "transformer.") + child + "." + rest;
  static constexpr std::pair<const char*, const char*> inside[] = {
      {"0.inner.0.", "ln_1."},
      {"0.inner.1.qkv.", "attn.c_attn."},
      {"0.inner.1.projection.", "attn.c_proj."},
      {"1.inner.0.", "ln_2."},
      {"1.inner.1.", "mlp.c_fc."},
      {"1.inner.3.", "mlp.c_proj."}};
  for (const auto& [from, to] : inside) {
    const std::string tail = rest.substr(2);
    if (tail.starts_with(from))
      return "transformer.h." + rest.substr(0, 2) + to + tail.substr(std::string(from).size());
  }
  return "no such name: " + ours;
}

template <class Variant> golden::Golden load(const std::string& part) {
  const char* file = part == "start" ? Variant::start_file : Variant::file;
  return golden::Golden::load(std::string(COHORT_TEST_DIR) + "/golden/gpt_" + file + "_" + part +
                              ".bin");
}

/// One rank's view of the twenty steps; all ranks' views are compared first.
struct Trained {
  std::vector<StepReport> reports;
  std::vector<NamedTensor> first_gradients, parameters;
};

template <class Variant, int N>
using RunOf = Trainer<typename Variant::Model, nn::CrossEntropy, DataParallel<Replicate>,
                      GradAccum<N>, ClipGradNorm, optim::AdamW>;

template <class Variant, int N>
typename RunOf<Variant, N>::options options_of(const golden::Golden& notes, int ranks) {
  typename RunOf<Variant, N>::options options{};
  options.batch = rows / ranks;
  options.tokens = block;
  options.learning_rate = notes.number("lr");
  options.optimizer = {notes.number("beta1"), notes.number("beta2"), notes.number("eps"),
                       notes.number("decay")};
  options.clip.max_norm = notes.number("clip");
  return options;
}

template <class Variant, int N> Trained train_rank(Threads& world, const golden::Golden& start) {
  Trained out;
  auto run =
      RunOf<Variant, N>::on(world, options_of<Variant, N>(load<Variant>("grad"), world.size()));
  for (const NamedTensor& p : run.gather_parameters())
    run.set_parameter(p.name, start.as<float>("start." + torch_name<Variant>(p.name)));
  const auto tokens = start.as<int>("tokens");  // [steps, rows, block + 1]
  const int steps = static_cast<int>(start.number("steps")), mine = rows / world.size();
  std::vector<int> inputs, targets;
  for (int step = 0; step < steps; ++step) {
    inputs.clear();
    targets.clear();
    for (int row = world.rank() * mine; row < (world.rank() + 1) * mine; ++row) {
      const auto first = tokens.begin() + (step * rows + row) * (block + 1);
      inputs.insert(inputs.end(), first, first + block);
      targets.insert(targets.end(), first + 1, first + 1 + block);
    }
    out.reports.push_back(
        run.step({inputs.data(), {mine, block}}, {targets.data(), {mine, block}}));
    if (step == 0) out.first_gradients = run.gather_gradients();
  }
  out.parameters = run.gather_parameters();
  return out;
}

template <class Variant, int N> Trained train(int ranks, const golden::Golden& start) {
  std::vector<Trained> out(static_cast<std::size_t>(ranks));
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    out[static_cast<std::size_t>(world.rank())] = train_rank<Variant, N>(world, start);
  });
  for (const Trained& other : out)
    for (std::size_t i = 0; i < other.parameters.size(); ++i)
      CHECK(other.parameters[i].values == out[0].parameters[i].values);
  return out[0];
}

/// Root of the mean square, and the largest, of a list of errors.
struct Distance {
  double squares = 0, largest = 0, count = 0;
  void add(double error) {
    squares += error * error;
    largest = std::max(largest, std::abs(error));
    ++count;
  }
  double rms() const { return std::sqrt(squares / count); }
};

/// The key third of the bias of queries, keys and values has no true gradient (softmax ignores it),
/// and Adam makes steps of its rounding: left out, here and in the script's distances.
bool is_key_bias(const NamedTensor& p, std::size_t k) {
  return p.name.ends_with("qkv.bias") && k >= channels && k < 2 * channels;
}

/// Has this parameter a gradient?
bool is_trained(const Trained& ours, const std::string& name) {
  for (const NamedTensor& g : ours.first_gradients)
    if (g.name == name) return true;
  return false;
}

/// Distances from the fp64 run over the twenty steps and over all final parameters, as measured by
/// gpt_golden.py for PyTorch's fp32 run: at most twice as far, in the mean and at the worst.
template <class Variant>
void check_distances(const Trained& ours, const golden::Golden& start,
                     const golden::Golden& result) {
  const auto& loss64 = result.values("loss64");
  const auto& norm64 = result.values("norm64");
  Distance loss, norm, parameters;
  for (std::size_t step = 0; step < loss64.size(); ++step) {
    loss.add(ours.reports[step].loss - loss64[step]);
    norm.add(ours.reports[step].grad_norm - norm64[step]);
  }
  for (const NamedTensor& p : ours.parameters) {
    const std::string name = torch_name<Variant>(p.name);
    if (!is_trained(ours, p.name)) {
      CHECK(p.values == start.as<float>("start." + name));
      continue;
    }
    const auto &final32 = result.values("final32." + name),
               &error32 = result.values("error32." + name);
    REQUIRE(p.values.size() == final32.size());
    for (std::size_t k = 0; k < p.values.size(); ++k)
      parameters.add(is_key_bias(p, k) ? 0 : double(p.values[k]) - (final32[k] - error32[k]));
  }
  // Six numbers a run; the first run is the one above, eight more permute the rows of every batch.
  const auto& theirs = result.values("distances");
  double largest_norm[2] = {};
  for (std::size_t i = 0; i < theirs.size(); i += 6)
    for (std::size_t k = 0; k < 2; ++k)
      largest_norm[k] = std::max(largest_norm[k], theirs[i + 2 + k]);
  CHECK(loss.rms() <= 2 * theirs[0]);
  CHECK(loss.largest <= 2 * theirs[1]);
  CHECK(norm.rms() <= 2 * largest_norm[0]);  // few roundings matter: how far it is off is luck
  CHECK(norm.largest <= 2 * largest_norm[1]);
  CHECK(parameters.rms() <= 2 * theirs[4]);
  CHECK(parameters.largest <= 2 * theirs[5]);
}

/// The mean gradient of step 0 against fp64, over all parameters: a relative rounding for each term
/// of the products that one row meets, and for each of the rows.
template <class Variant> void check_gradients(const Trained& ours) {
  const golden::Golden grad = load<Variant>("grad");
  double squares = 0, error_squares = 0, additions = rows * block;
  for (const NamedTensor& g : ours.first_gradients) {
    const auto& exact = grad.values("grad." + torch_name<Variant>(g.name));
    additions += g.extents.back();
    for (std::size_t k = 0; k < exact.size(); ++k) {
      const double error = double(g.values[k]) / ours.reports[0].weight - exact[k];
      squares += exact[k] * exact[k];
      error_squares += error * error;
    }
  }
  const double eps = std::numeric_limits<float>::epsilon();
  CHECK(std::sqrt(error_squares) <= eps * std::sqrt(additions) * std::sqrt(squares));
  CHECK(ours.reports[0].weight == rows * block);
}

template <class Variant, int N> void check_parity() {
  const golden::Golden start = load<Variant>("start"), result = load<Variant>("result");
  for (int ranks : {1, 2, 3}) {
    INFO(Variant::file);
    CAPTURE(ranks);
    const Trained ours = train<Variant, N>(ranks, start);
    check_gradients<Variant>(ours);
    check_distances<Variant>(ours, start, result);
    int clipped = 0;  // both branches of clipping are met
    for (const StepReport& r : ours.reports) clipped += r.clip_coefficient < 1;
    CHECK(clipped > 0);
    CHECK(clipped < static_cast<int>(ours.reports.size()));
  }
}

TEST_CASE("golden: a GPT without biases, tied head, exact GELU is as near to fp64 as PyTorch's") {
  check_parity<Tied, 1>();
}
TEST_CASE("golden: the same with two micro-batches") { check_parity<Tied, 2>(); }
TEST_CASE("golden: a GPT with biases, its own head, tanh GELU is as near to fp64 as PyTorch's") {
  check_parity<Untied, 1>();
}
TEST_CASE("golden: with the token table and attention frozen it is as near to fp64 as PyTorch's") {
  check_parity<PartlyFrozen, 1>();
  const std::vector<NamedTensor> gradients =
      train<PartlyFrozen, 1>(1, load<PartlyFrozen>("start")).first_gradients;
  CHECK(gradients.size() == 1 + layers * 6 + 2 + 1);  // wpe, ln_2 and mlp of each block, ln_f, head
}
TEST_CASE("golden: the same with biases and two micro-batches") { check_parity<Untied, 2>(); }

}  // namespace
