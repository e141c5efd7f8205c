#include "server/training/input/text_batches.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

#include <ATen/ops/empty.h>

#include "absl/strings/str_cat.h"

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

Batch PackTexts(const std::vector<TokenizedText>& texts, const std::vector<int64_t>* indices) {
  if (texts.empty()) throw std::invalid_argument("a batch needs at least one text");
  Batch packed;
  packed.rows = static_cast<int64_t>(texts.size());
  TextBatch& batch = packed.text;
  batch.sequences = packed.rows;
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
    packed.example_indices.push_back(indices != nullptr ? (*indices)[i] : static_cast<int64_t>(i));
    batch.truncated.push_back(text.truncated);
  }
  return packed;
}

TextBatches::TextBatches(std::shared_ptr<const TextDataset> dataset, const BatchRowsOptions& rows, TargetFunction targets)
    : dataset_(std::move(dataset)), rows_(rows), targets_(std::move(targets)) {}

Batch TextBatches::Make(int64_t epoch, int64_t batch) const {
  const std::vector<int64_t> rows = rows_.Of(epoch, batch);
  std::vector<TokenizedText> texts;
  texts.reserve(rows.size());
  for (int64_t row : rows) texts.push_back(dataset_->Get(row));
  Batch packed = PackTexts(texts, &rows);
  packed.targets = ReadTargets(targets_, dataset_->reader(), dataset_->split(), packed.example_indices);
  return packed;
}

}  // namespace attune::training
