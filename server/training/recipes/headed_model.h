// HeadedModel: a pretrained architecture with a task's head on top, built from a model directory and a few plain values. What fine-tuning trains and prediction runs.
// Not thread-safe. Functions throw std::invalid_argument or TrainingError with text that names the file and key at fault.
//
//   HeadedModel headed = CreateHeadedModel(ReadConfig(model_dir), {.task = "text-classification", .labels = {"no", "yes"}});
//   LoadReport report = LoadWeights(*headed.model, *headed.factory, model_dir + "/model.safetensors");
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "server/training/models/model.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/steps/tensor_io.h"
#include "server/training/tasks/task.h"

namespace attune::training {

struct HeadedModel {
  const ModelFactory* factory = nullptr;  // lives as long as the process
  std::unique_ptr<Model> model;
  std::unique_ptr<Task> task;
  double head_dropout = 0;

  int head_group() const { return static_cast<int>(model->groups().size()); }
  std::vector<Parameter> parameters() const;  // the model's, then the head's
  int64_t parameter_count() const;            // values of all of them
  std::vector<NamedTensor> tensors() const;   // the same and the buffers, as a checkpoint names them
  void To(const at::Device& device);
};

struct HeadOptions {
  std::string task;                 // "text-classification", ...
  std::vector<std::string> labels;  // class names in index order; empty for regression
  std::vector<int> hidden_sizes;    // of layers between features and logits
  HeadActivation activation = HeadActivation::kRelu;
  double dropout = -1;              // negative: the model's own
  double label_smoothing = 0;
  std::vector<double> class_weights;  // in label order; empty: all 1
  uint64_t seed = 0;                // of weights that no file gives
};

// Reads {directory}/config.json.
nlohmann::json ReadConfig(const std::string& directory);

// The factory of config.json's model_type.
const ModelFactory& FactoryOf(const nlohmann::json& config);

// What a spec says of a head for these classes.
HeadOptions HeadOptionsOf(const FineTuneSpec& spec, const std::vector<std::string>& labels, const std::vector<double>& class_weights = {});

// Another head for the same model.
std::unique_ptr<Task> CreateHead(const HeadedModel& headed, const nlohmann::json& config, const HeadOptions& options);

// Every weight is random (seeded): load those that files have.
HeadedModel CreateHeadedModel(const nlohmann::json& config, const HeadOptions& options);

}  // namespace attune::training
