#include "server/training/recipes/predictor.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include "server/training/input/image_batches.h"
#include "server/training/input/text_batches.h"
#include "server/training/steps/view_mean.h"

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

std::vector<PredictionOutput> Predictor::Predict(const std::string& checkpoint_dir, const std::vector<PredictionInput>& inputs, int views) {
  if (!loaded_.has_value() || loaded_->directory != checkpoint_dir) {
    loaded_.reset();  // before the next one takes its memory
    loaded_ = LoadCheckpoint(checkpoint_dir);
  }
  if (views > 1 && !loaded_->view.has_value()) throw std::invalid_argument("views is for images, and this checkpoint's model takes texts; leave it out");
  std::vector<PredictionOutput> outputs(inputs.size());
  for (size_t begin = 0; begin < inputs.size(); begin += kBatch) {
    PredictBatch(*loaded_, inputs, begin, std::min(begin + kBatch, inputs.size()), views, &outputs);
  }
  return outputs;
}

Batch Predictor::MakeBatch(const LoadedCheckpoint& loaded, const std::vector<PredictionInput>& inputs, size_t begin, size_t end, int view) {
  if (loaded.view.has_value()) {
    std::vector<std::string_view> files;
    for (size_t i = begin; i < end; ++i) files.push_back(inputs[i].image);
    Batch batch;
    batch.rows = static_cast<int64_t>(files.size());
    for (int64_t i = 0; i < batch.rows; ++i) batch.example_indices.push_back(i);
    batch.pixels = PixelsOf(files, *loaded.view, static_cast<int64_t>(begin), view);
    return batch;
  }
  std::vector<TokenizedText> texts;
  for (size_t i = begin; i < end; ++i) {
    const std::string_view pair = inputs[i].text_pair;
    texts.push_back(Tokenize(*loaded.tokenizer, inputs[i].text, pair.empty() ? nullptr : &pair, loaded.record.max_length));
  }
  return PackTexts(texts);
}

void Predictor::PredictBatch(const LoadedCheckpoint& loaded, const std::vector<PredictionInput>& inputs, size_t begin, size_t end, int views,
                             std::vector<PredictionOutput>* outputs) {
  at::NoGradGuard no_grad;
  Task& task = *loaded.headed.task;
  ViewMean mean(task);
  Batch batch;
  for (int view = 0; view < views; ++view) {
    batch = MakeBatch(loaded, inputs, begin, end, view);
    mean.Add(task.Logits(loaded.headed.model->Forward(batch, {.training = false}).features, /*training=*/false));
  }
  const at::Tensor logits = mean.Logits();
  const at::Tensor probabilities = task.Probabilities(logits);
  const bool multi_label = task.problem_type() == kMultiLabel;
  for (int64_t row = 0; row < batch.rows; ++row) {
    PredictionOutput& output = (*outputs)[begin + batch.example_indices[row]];
    output = MakePrediction(loaded.record.labels, multi_label, RowOf<double>(probabilities, row, at::kDouble), RowOf<float>(logits, row, at::kFloat));
    output.truncated = !batch.text.truncated.empty() && batch.text.truncated[row];
  }
}

}  // namespace attune::training
