// A case that tests/golden/make_bert_goldens.py wrote: config, weights, padded inputs, and what transformers computes from them.
#pragma once

#include <memory>
#include <string>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

#include "server/training/input/batch.h"
#include "server/training/models/model.h"
#include "server/training/tasks/task.h"
#include "server/weights/safetensors.h"
#include "tests/training/models/golden_tensors.h"

namespace attune::training {

struct GoldenCase {
  nlohmann::json config;
  std::string weights_path;
  std::shared_ptr<const weights::SafetensorsFile> golden;
  std::unique_ptr<Model> model;
  std::unique_ptr<Task> task;
  Batch batch;  // packed texts, with targets
};

// Throws when anything is missing. `encoder_weights` (a path) is used in place of the case's own for everything but the head.
GoldenCase LoadGoldenCase(const std::string& directory, const std::string& encoder_weights = "");

}  // namespace attune::training
