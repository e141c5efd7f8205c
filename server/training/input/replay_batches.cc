#include "server/training/input/replay_batches.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

namespace attune::training {
namespace {

void Append(TextBatch& text, const TextBatch& more) {
  for (LengthRun run : more.runs) {
    run.first_sequence += text.sequences;
    run.first_token += text.tokens;
    text.runs.push_back(run);
  }
  text.first_token = at::cat({text.first_token, more.first_token + text.tokens});
  text.token_ids = at::cat({text.token_ids, more.token_ids});
  text.type_ids = at::cat({text.type_ids, more.type_ids});
  text.position_ids = at::cat({text.position_ids, more.position_ids});
  text.truncated.insert(text.truncated.end(), more.truncated.begin(), more.truncated.end());
  text.tokens += more.tokens;
  text.sequences += more.sequences;
}

}  // namespace

ReplayBatches::ReplayBatches(std::unique_ptr<BatchSource> first, std::unique_ptr<BatchSource> second, int64_t second_per_pass)
    : first_(std::move(first)), second_(std::move(second)), second_per_pass_(std::max<int64_t>(1, second_per_pass)) {}

Batch ReplayBatches::Make(int64_t epoch, int64_t batch) const {
  const int64_t number = epoch * first_->batches_per_epoch() + batch;
  return Concatenate(first_->Make(epoch, batch), second_->Make(number / second_per_pass_, number % second_per_pass_));
}

Batch Concatenate(const Batch& first, const Batch& second) {
  if (first.pixels.defined() != second.pixels.defined()) throw std::invalid_argument("texts and images cannot be in one batch");
  Batch both = first;
  auto replay = std::make_shared<Batch>();
  replay->rows = second.rows;
  replay->targets = second.targets;
  replay->mixed_targets = second.mixed_targets;
  replay->mix = second.mix;
  both.replay = std::move(replay);
  both.rows += second.rows;
  both.example_indices.insert(both.example_indices.end(), second.example_indices.begin(), second.example_indices.end());
  if (first.pixels.defined()) {
    both.pixels = at::cat({first.pixels, second.pixels});
  } else {
    Append(both.text, second.text);
  }
  return both;
}

}  // namespace attune::training
