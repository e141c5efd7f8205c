#include "server/training/recipes/predictor.h"

#include <algorithm>
#include <utility>

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include "server/base/files.h"
#include "server/training/input/text_batches.h"
#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

constexpr size_t kBatch = 32;
constexpr char kMultiLabel[] = "multi_label_classification";

template <typename T>
std::vector<T> RowOf(const at::Tensor& table, int64_t row, at::ScalarType type) {
  const at::Tensor values = table[row].to(type).contiguous();
  const T* begin = values.const_data_ptr<T>();
  return {begin, begin + values.numel()};
}

}  // namespace

std::unique_ptr<Predictor::Loaded> Predictor::Load(const std::string& checkpoint_dir) {
  auto loaded = std::make_unique<Loaded>();
  loaded->directory = checkpoint_dir;
  auto record = ReadFile(checkpoint_dir + "/" + kAttuneFile);
  ThrowIfError(record.status());
  loaded->record = AttuneRecord::FromJson(*record);
  loaded->headed = CreateHeadedModel(ReadConfig(checkpoint_dir), {.task = loaded->record.task, .labels = loaded->record.labels});
  LoadTensors(loaded->headed.tensors(), checkpoint_dir + "/" + kModelFile);
  auto tokenizer = tokenizers::LoadTokenizer(checkpoint_dir);
  ThrowIfError(tokenizer.status());
  loaded->tokenizer = *std::move(tokenizer);
  return loaded;
}

std::vector<PredictionOutput> Predictor::Predict(const std::string& checkpoint_dir, const std::vector<PredictionInput>& inputs) {
  if (loaded_ == nullptr || loaded_->directory != checkpoint_dir) {
    loaded_.reset();  // before the next one takes its memory
    loaded_ = Load(checkpoint_dir);
  }
  std::vector<PredictionOutput> outputs(inputs.size());
  for (size_t begin = 0; begin < inputs.size(); begin += kBatch) {
    PredictBatch(*loaded_, inputs, begin, std::min(begin + kBatch, inputs.size()), &outputs);
  }
  return outputs;
}

void Predictor::PredictBatch(const Loaded& loaded, const std::vector<PredictionInput>& inputs, size_t begin, size_t end,
                             std::vector<PredictionOutput>* outputs) {
  at::NoGradGuard no_grad;
  std::vector<TokenizedText> texts;
  for (size_t i = begin; i < end; ++i) {
    const std::string_view pair = inputs[i].text_pair;
    texts.push_back(Tokenize(*loaded.tokenizer, inputs[i].text, pair.empty() ? nullptr : &pair, loaded.record.max_length));
  }
  const TextBatch batch = PackTexts(texts);
  Task& task = *loaded.headed.task;
  const at::Tensor logits = task.Logits(loaded.headed.model->Forward(batch, /*training=*/false), /*training=*/false);
  const at::Tensor probabilities = task.Probabilities(logits);
  const bool multi_label = task.problem_type() == kMultiLabel;
  for (int64_t row = 0; row < batch.sequences; ++row) {
    PredictionOutput& output = (*outputs)[begin + batch.example_indices[row]];
    output = MakePrediction(loaded.record.labels, multi_label, RowOf<double>(probabilities, row, at::kDouble), RowOf<float>(logits, row, at::kFloat));
    output.truncated = batch.truncated[row];
  }
}

}  // namespace attune::training
