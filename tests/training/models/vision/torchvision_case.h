// A case that tests/golden/make_vision_goldens.py wrote: config, weights, images, and what torchvision computes from them in fp64. Taken in fp64 both programs agree to the
// rounding of the file; in fp32 a ReLU at its kink may fall on either side.
//
//   TorchvisionCase c = LoadTorchvisionCase(directory);
//   Loss(c, c.model->Forward(c.batch, {})).backward();
//   EXPECT_LT(CompareGradients(c, "eval.").worst, 1e-6);
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

#include "server/training/models/model.h"
#include "server/weights/safetensors.h"

namespace attune::training {

struct TorchvisionCase {
  std::string directory;
  nlohmann::json config;
  std::shared_ptr<const weights::SafetensorsFile> golden;
  const ModelFactory* factory = nullptr;
  std::unique_ptr<Model> model;
  LoadReport report;
  std::vector<Parameter> head;  // weight and bias of the head and, where there is one, of the auxiliary head
  Batch batch;                  // with targets
};

// Throws when anything is missing. `changes` to config.json do not reach the weights.
TorchvisionCase LoadTorchvisionCase(const std::string& directory, at::ScalarType type = at::kDouble, const nlohmann::json& changes = nlohmann::json::object());

std::vector<Parameter> AllParameters(const TorchvisionCase& c);  // the model's and the heads'
at::Tensor Logits(const TorchvisionCase& c, const ModelOutput& output);
// Cross-entropy, with 0.4 of the auxiliary head's where there is one.
at::Tensor Loss(const TorchvisionCase& c, const ModelOutput& output);
// The largest difference of a gradient from the golden one ("eval." or "train."), relative to the largest value of each tensor, and whose it is. Parameters without a
// gradient are passed over: `compared` counts the others.
struct GradientDifference {
  double worst = 0;
  double together = 0;  // of all as one vector, relative to its length
  std::string name;
  size_t compared = 0;
};
GradientDifference CompareGradients(const TorchvisionCase& c, const std::string& prefix);

}  // namespace attune::training
