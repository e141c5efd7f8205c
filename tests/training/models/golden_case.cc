#include "tests/training/models/golden_case.h"

#include <stdexcept>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include "server/base/files.h"
#include "server/training/input/text_batches.h"

namespace attune::training {
namespace {

std::string TaskOf(const nlohmann::json& config) {
  const nlohmann::json type = config.value("problem_type", nlohmann::json());
  if (type == "multi_label_classification") return "text-multi-label";
  return type == "regression" ? "text-regression" : "text-classification";
}

Batch BatchOf(const weights::SafetensorsFile& golden) {
  const at::Tensor ids = TensorOf(golden, "input_ids"), types = TensorOf(golden, "token_type_ids"), mask = TensorOf(golden, "attention_mask");
  std::vector<TokenizedText> texts(ids.size(0));
  for (int64_t i = 0; i < ids.size(0); ++i) {
    const int64_t length = mask[i].sum().item<int64_t>();
    for (int64_t j = 0; j < length; ++j) {
      texts[i].ids.push_back(ids[i][j].item<int32_t>());
      texts[i].type_ids.push_back(types[i][j].item<int32_t>());
    }
  }
  Batch batch = PackTexts(texts);
  batch.targets = TensorOf(golden, "labels").index_select(0, at::tensor(batch.example_indices));
  return batch;
}

}  // namespace

GoldenCase LoadGoldenCase(const std::string& directory, const std::string& encoder_weights) {
  GoldenCase c;
  const auto text = ReadFile(directory + "/config.json");
  if (!text.ok()) throw std::runtime_error(std::string(text.status().message()));
  c.config = nlohmann::json::parse(*text);
  c.weights_path = directory + "/model.safetensors";
  auto golden = weights::SafetensorsFile::Open(directory + "/golden.safetensors");
  auto own = weights::SafetensorsFile::Open(c.weights_path);
  if (!golden.ok() || !own.ok()) throw std::runtime_error("no golden files in " + directory);
  c.golden = *golden;

  const ModelFactory* factory = ModelRegistry::Get().Find("bert");
  c.model = factory->create(c.config, /*seed=*/1);
  LoadWeights(*c.model, *factory, encoder_weights.empty() ? c.weights_path : encoder_weights);
  TaskOptions options;
  const int64_t outputs = TensorOf(**own, "classifier.bias").size(0);
  for (int64_t i = 0; i < outputs; ++i) options.labels.push_back("label-" + std::to_string(i));
  options.feature_size = c.model->feature_size();
  options.label_smoothing = c.config.value("attune_label_smoothing", 0.0);
  options.head_name = factory->description_of().head_name;
  options.head_group = static_cast<int>(c.model->groups().size());
  c.task = TaskRegistry::Get().Find(TaskOf(c.config))->create(options);
  at::NoGradGuard no_grad;
  for (const Parameter& parameter : c.task->head_parameters()) at::Tensor(parameter.tensor).copy_(TensorOf(**own, parameter.name));
  c.batch = BatchOf(*c.golden);
  return c;
}

}  // namespace attune::training
