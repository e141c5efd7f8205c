#include "server/training/input/text_batches.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

#include <ATen/ops/empty.h>

#include "absl/strings/str_cat.h"
#include "server/training/input/epoch_order.h"

namespace attune::training {
namespace {

at::Tensor EmptyIndices(int64_t size) { return at::empty({size}, at::TensorOptions().dtype(at::kLong)); }

std::vector<size_t> ByLength(const std::vector<TokenizedText>& texts) {
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return texts[a].ids.size() < texts[b].ids.size(); });
  return order;
}

}  // namespace

TextBatch PackTexts(const std::vector<TokenizedText>& texts, const std::vector<int64_t>* indices) {
  if (texts.empty()) throw std::invalid_argument("a batch needs at least one text");
  TextBatch batch;
  batch.sequences = static_cast<int64_t>(texts.size());
  for (const TokenizedText& text : texts) batch.tokens += static_cast<int64_t>(text.ids.size());
  batch.token_ids = EmptyIndices(batch.tokens);
  batch.type_ids = EmptyIndices(batch.tokens);
  batch.position_ids = EmptyIndices(batch.tokens);
  batch.first_token = EmptyIndices(batch.sequences);
  int64_t* ids = batch.token_ids.mutable_data_ptr<int64_t>();
  int64_t* types = batch.type_ids.mutable_data_ptr<int64_t>();
  int64_t* positions = batch.position_ids.mutable_data_ptr<int64_t>();
  int64_t* firsts = batch.first_token.mutable_data_ptr<int64_t>();
  int64_t token = 0;
  int64_t sequence = 0;
  for (size_t i : ByLength(texts)) {
    const TokenizedText& text = texts[i];
    const int64_t length = static_cast<int64_t>(text.ids.size());
    if (length == 0) throw std::invalid_argument(absl::StrCat("text ", i, " of the batch has no tokens"));
    std::copy(text.ids.begin(), text.ids.end(), ids + token);
    if (text.type_ids.empty()) {
      std::fill_n(types + token, length, int64_t{0});
    } else {
      std::copy(text.type_ids.begin(), text.type_ids.end(), types + token);
    }
    std::iota(positions + token, positions + token + length, int64_t{0});
    if (batch.runs.empty() || batch.runs.back().length != length) batch.runs.push_back({sequence, token, 0, length});
    ++batch.runs.back().count;
    firsts[sequence++] = token;
    token += length;
    batch.example_indices.push_back(indices != nullptr ? (*indices)[i] : static_cast<int64_t>(i));
    batch.truncated.push_back(text.truncated);
  }
  return batch;
}

TextBatch ToDevice(const TextBatch& batch, const at::Device& device) {
  TextBatch out = batch;
  for (at::Tensor* tensor : {&out.token_ids, &out.type_ids, &out.position_ids, &out.first_token, &out.targets}) {
    if (tensor->defined()) *tensor = tensor->to(device, /*non_blocking=*/true);
  }
  return out;
}

TextBatches::TextBatches(std::shared_ptr<const TextDataset> dataset, const TextBatchesOptions& options, TargetFunction targets)
    : dataset_(std::move(dataset)), options_(options), targets_(std::move(targets)) {
  if (options_.batch_size < 1) throw std::invalid_argument(absl::StrCat("batch_size must be at least 1, not ", options_.batch_size));
}

int64_t TextBatches::batches_per_epoch() const { return (dataset_->size() + options_.batch_size - 1) / options_.batch_size; }

std::shared_ptr<const std::vector<int64_t>> TextBatches::Order(int64_t epoch) const {
  std::lock_guard lock(mutex_);
  if (cached_epoch_ != epoch || cached_order_ == nullptr) {
    cached_order_ = std::make_shared<const std::vector<int64_t>>(EpochOrder(options_.seed, epoch, dataset_->size()));
    cached_epoch_ = epoch;
  }
  return cached_order_;
}

TextBatch TextBatches::Make(int64_t epoch, int64_t batch) const {
  if (batch < 0 || batch >= batches_per_epoch()) {
    throw std::out_of_range(absl::StrCat("batch ", batch, " of an epoch that has ", batches_per_epoch()));
  }
  const int64_t begin = batch * options_.batch_size;
  const int64_t end = std::min(begin + options_.batch_size, dataset_->size());
  std::vector<int64_t> rows(end - begin);
  if (options_.shuffle) {
    const auto order = Order(epoch);
    std::copy(order->begin() + begin, order->begin() + end, rows.begin());
  } else {
    std::iota(rows.begin(), rows.end(), begin);
  }
  std::vector<TokenizedText> texts;
  texts.reserve(rows.size());
  for (int64_t row : rows) texts.push_back(dataset_->Get(row));
  TextBatch packed = PackTexts(texts, &rows);
  if (targets_) {
    std::vector<examples::Example> examples;
    examples.reserve(rows.size());
    for (int64_t row : packed.example_indices) examples.push_back(dataset_->GetExample(row));
    std::vector<const examples::Example*> pointers;
    for (const examples::Example& example : examples) pointers.push_back(&example);
    packed.targets = targets_(pointers);
  }
  return packed;
}

}  // namespace attune::training
