// The small files of a checkpoint that do not change during a job: config.json as transformers reads it, the tokenizer's files, and attune.json for our own Predict.
// Pure but for reading the model directory. Throws TrainingError.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "server/images/view.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/steps/checkpoint_io.h"

namespace attune::training {

inline constexpr char kPreprocessorFile[] = "preprocessor_config.json";

struct ExportedHead {
  std::string architecture_class;   // "BertForSequenceClassification"; empty where the library has no such thing
  std::string problem_type;         // "single_label_classification", ...
  std::vector<std::string> labels;  // empty for regression
  double dropout = 0;
};

// The base model's config.json with what transformers' auto classes need: architectures, problem_type, id2label, label2id, and the type of the stored weights. Where there
// is no such class (another pooling; torchvision): no architectures, and of torchvision's num_classes, and with `view` (null for texts) what was done to the images.
std::string ExportedConfig(const nlohmann::json& base, const ExportedHead& head, const images::ViewSpec* view);

// preprocessor_config.json as transformers' BitImageProcessor reads it: the plain view in words. For models that transformers loads; others have it in config.json.
std::string ExportedPreprocessor(const images::ViewSpec& view);

// What Predict needs beyond config.json.
struct AttuneRecord {
  std::string base_model;
  std::string task;
  std::vector<std::string> labels;
  int max_length = 512;                // texts
  int image_size = 0;                  // images
  std::vector<int> head_hidden_sizes;
  HeadActivation head_activation = HeadActivation::kRelu;
  std::string ToJson() const;
  // Throws TrainingError (DATA) naming the key at fault.
  static AttuneRecord FromJson(std::string_view text);
};

// Those of transformers' tokenizer files that the model directory has, as they are.
std::vector<CheckpointFile> ReadTokenizerFiles(const std::string& model_dir);

}  // namespace attune::training
