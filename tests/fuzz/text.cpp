// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/fuzz/text.cpp: any bytes are a corpus; what it says no to is an InvalidInput.
#include <cohort/data/epochs.hpp>

#include "fuzz.hpp"

using namespace cohort;
using namespace cohort::data;

namespace {

/// Evaluation blocks predict every token of a split but the first, exactly once.
void evaluation_covers(Split split, int block, int world, int rows) {
  std::vector<int> predicted;
  for (std::int64_t b = 0; b < EvaluationBlocks(split, block, {0, world, rows}).num_batches();
       ++b) {
    for (int rank = 0; rank < world; ++rank) {
      const EvaluationBlocks blocks(split, block, {rank, world, rows});
      TokenBatch batch = blocks.batch();
      blocks(b, batch);
      for (int target : batch.targets)
        if (target != ignored_label) predicted.push_back(target);
    }
  }
  must(predicted.size() + 1 == split.tokens.size());
  must(std::equal(predicted.begin(), predicted.end(), split.tokens.begin() + 1));
}

/// An epoch deals windows that exist, none twice on all ranks together.
void epoch_is_a_deal(Split split, int block, int world, int rows) {
  std::int64_t dealt = 0;
  std::vector<int> seen;
  for (int rank = 0; rank < world; ++rank) {
    Epochs range(rank, world, split, {.rows = rows, .block = block, .seed = 3});
    for (TokenBatch& batch : range) {
      ++dealt;
      for (std::size_t i = 0; i + 1 < batch.inputs.size(); ++i)
        if ((i + 1) % std::size_t(block) != 0) must(batch.targets[i] == batch.inputs[i + 1]);
    }
  }
  must(dealt * rows <= static_cast<std::int64_t>(split.tokens.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const CorpusOptions options{
      .vocabulary = bytes.below(2) ? Vocabulary::characters : Vocabulary::bytes,
      .train_fraction = bytes.below(101) / 100.0};
  const int block = bytes.below(12), world = 1 + bytes.below(4), rows = bytes.below(5);
  const std::string text = bytes.rest();
  refuses_only_with<InvalidInput>([&] {
    const auto corpus = CharCorpus::from_text(text, options);
    must(corpus.decode(corpus.encode(text)) == text);
    must(corpus.train().tokens.size() + corpus.validation().tokens.size() == text.size());
    must(corpus.vocabulary() >= 1 && corpus.vocabulary() <= 256);
    refuses_only_with<InvalidInput>([&] { evaluation_covers(corpus.train(), block, world, rows); });
    refuses_only_with<InvalidInput>(
        [&] { evaluation_covers(corpus.validation(), block, world, rows); });
    refuses_only_with<InvalidInput>([&] { epoch_is_a_deal(corpus.train(), block, world, rows); });
  });
  return 0;
}
