// A case that tests/golden/make_bert_goldens.py wrote: config, weights, padded inputs, and what transformers computes from them.
#pragma once

#include <memory>
#include <string>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

#include "server/training/input/text_batch.h"
#include "server/training/models/model.h"
#include "server/training/tasks/task.h"
#include "server/weights/safetensors.h"

namespace attune::training {

struct GoldenCase {
  nlohmann::json config;
  std::string weights_path;
  std::shared_ptr<const weights::SafetensorsFile> golden;
  std::unique_ptr<Model> model;
  std::unique_ptr<Task> task;
  TextBatch batch;  // packed, with targets
};

// Throws when anything is missing. `encoder_weights` (a path) is used in place of the case's own for everything but the head.
GoldenCase LoadGoldenCase(const std::string& directory, const std::string& encoder_weights = "");

at::Tensor TensorOf(const weights::SafetensorsFile& file, const std::string& name);  // a copy

// Largest difference, relative to the largest value of `expected` (at least `floor`).
double RelativeDifference(const at::Tensor& actual, const at::Tensor& expected, double floor = 0);

// A file of the source tree, or an environment variable's value with a fallback.
std::string SourcePath(const std::string& path);
std::string Environment(const char* name, const std::string& fallback);

}  // namespace attune::training
