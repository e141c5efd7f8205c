// A pretrained architecture without a head, and the registry that it is created from. One file per architecture registers itself
// (ATTUNE_REGISTER_MODEL at file scope); nothing else names it. Not thread-safe: the training thread alone touches a model. Throws c10::Error or
// std::invalid_argument with text that a user can act on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

#include "server/training/input/text_batch.h"

namespace attune::training {

// A trainable tensor under the name that transformers gives it in the exported checkpoint ("bert.encoder.layer.0...").
struct Parameter {
  std::string name;       // full, with the architecture's prefix
  at::Tensor tensor;      // leaf, fp32
  int group = 0;          // index into Model::groups(); the head is groups().size()
  bool decay = true;      // false for biases and norms
};

class Model {
 public:
  virtual ~Model() = default;
  virtual const std::vector<Parameter>& parameters() const = 0;
  virtual const std::vector<std::string>& groups() const = 0;  // from input to output: "embeddings", "layer.0", ..., "pooler"
  virtual int64_t feature_size() const = 0;
  virtual double default_head_dropout() const = 0;
  // Features of each sequence [B, feature_size]. `training` turns dropout on; its masks come from torch's default generator, which the caller
  // seeds for each micro-step. Where the lowest trainable parameter lies in group g, groups below are run without building a graph.
  virtual at::Tensor Forward(const TextBatch& batch, bool training) = 0;
  virtual void To(const at::Device& device) = 0;
};

struct ModelFactory {
  std::string architecture;                 // transformers' model_type
  std::string description;
  std::vector<std::string> tasks;           // "text-classification", "text-multi-label", "text-regression"
  std::string prefix;                       // "bert." : what transformers' heads put before the encoder's names
  // What to write into the exported config.json as "architectures" for a task.
  std::function<std::string(const std::string& task)> exported_class;
  // Names of the head's linear layer in the exported checkpoint, without ".weight" ("classifier").
  std::string head_name;
  // A model with seeded random weights (initializer_range) of the sizes in config.json. Throws std::invalid_argument naming the key at fault.
  std::function<std::unique_ptr<Model>(const nlohmann::json& config, uint64_t seed)> create;
};

class ModelRegistry {
 public:
  static ModelRegistry& Get();
  bool Register(ModelFactory factory);                          // always true
  const ModelFactory* Find(const std::string& architecture) const;
  std::vector<const ModelFactory*> All() const;                 // by name

 private:
  std::vector<ModelFactory> factories_;
};

#define ATTUNE_REGISTER_MODEL(factory) \
  [[maybe_unused]] static const bool attune_model_registered_ = ::attune::training::ModelRegistry::Get().Register(factory)

// What loading a checkpoint into a model did.
struct LoadReport {
  std::vector<std::string> loaded;
  std::vector<std::string> newly_initialised;  // parameters that the checkpoint lacks (a missing pooler, for example)
  std::vector<std::string> ignored;            // tensors that the model has no use for (an old head)
};

// Copies weights of `path` (safetensors; F32, F16 or BF16; names with or without the prefix; old gamma/beta names) into the model. Throws std::invalid_argument when
// a shape differs or a required tensor (anything but the pooler) is missing.
LoadReport LoadWeights(Model& model, const ModelFactory& factory, const std::string& path);

}  // namespace attune::training
