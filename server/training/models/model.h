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

#include "server/architectures/architecture.h"
#include "server/training/input/batch.h"

namespace attune::training {

// A trainable tensor under the name that torchvision or transformers gives it in the exported checkpoint ("bert.encoder.layer.0...").
struct Parameter {
  std::string name;       // full, with the architecture's prefix
  at::Tensor tensor;      // leaf, fp32
  int group = 0;          // index into Model::groups(); the head is groups().size()
  bool decay = true;      // false for biases and norms
  bool optional = false;  // as the layout says: a checkpoint may lack it, with its whole group
};

// State that is exported and resumed but not trained: BatchNorm's running_mean [C], running_var [C] (fp32) and num_batches_tracked (int64 scalar).
struct Buffer {
  std::string name;       // full
  at::Tensor tensor;
  int group = 0;
};

struct ForwardMode {
  bool training = false;        // dropout and stochastic depth on; masks come from torch's default generator, which the caller seeds for each micro-step
  bool train_batch_norm = true; // when training: a BatchNorm whose weight requires a gradient uses the batch's statistics and moves its running ones; any other never does
};

struct ModelOutput {
  at::Tensor features;    // [B, feature_size]
  at::Tensor auxiliary;   // [B, auxiliary_size]: of Inception with its auxiliary head, in training, where a group below that head's last layer learns; else undefined
};

class Model {
 public:
  virtual ~Model() = default;
  virtual const std::vector<Parameter>& parameters() const = 0;
  virtual const std::vector<Buffer>& buffers() const { return no_buffers_; }
  virtual const std::vector<std::string>& groups() const = 0;  // from input to output: "embeddings", "layer.0", ..., "pooler"; "stem", "layer1", ...
  virtual int64_t feature_size() const = 0;
  virtual int64_t auxiliary_size() const { return 0; }         // 0: no auxiliary classifier
  virtual double default_head_dropout() const = 0;
  // From text, pixels, or prefix_output on. Where the lowest trainable parameter lies in group g, groups below are run in evaluation mode and without building a graph. Throws
  // std::invalid_argument for a batch that the model cannot take (a text too long, an image too small), saying what to change.
  virtual ModelOutput Forward(const Batch& batch, const ForwardMode& mode) = 0;
  // Whether Forward can start from the output of groups [0, group). groups().size() stands for the features themselves. In ascending order; may be empty.
  virtual std::vector<int> cut_points() const { return {}; }
  // Output of groups [0, groups), in evaluation mode and without a graph: [B, ...]. `groups` is one of cut_points().
  virtual at::Tensor Prefix(const Batch& batch, int groups);
  virtual void To(const at::Device& device) = 0;

 private:
  const std::vector<Buffer> no_buffers_;
};

// How a head's last layer is initialised; hidden layers always as torch.nn.Linear.
enum class HeadInit {
  kNormal,   // normal(0, the config's initializer_range or a usual one), bias 0: transformers, and torchvision's VGG and MobileNetV2
  kUniform,  // uniform in +-1/sqrt(inputs), weight and bias: torch.nn.Linear
};

struct ModelFactory {
  std::string architecture;                 // as the name in server/architectures
  std::string description;
  std::vector<std::string> tasks;           // "text-classification", "text-multi-label", "text-regression"; "image-classification", ...
  // What to write into the exported config.json as "architectures" for a task; empty where the library has no such thing (torchvision).
  std::function<std::string(const std::string& task)> exported_class;
  HeadInit head_init = HeadInit::kNormal;
  // A model with seeded random weights of the sizes in config.json. Throws std::invalid_argument naming the key at fault.
  std::function<std::unique_ptr<Model>(const nlohmann::json& config, uint64_t seed)> create;

  // The torch-free half: prefix, head_name, modality, describe. Throws std::logic_error when nobody registered it.
  const architectures::Architecture& description_of() const;
};

class ModelRegistry {
 public:
  static ModelRegistry& Get();
  bool Register(ModelFactory factory);                          // always true
  bool Register(std::vector<ModelFactory> family);              // always true
  const ModelFactory* Find(const std::string& architecture) const;
  std::vector<const ModelFactory*> All() const;                 // by name

 private:
  std::vector<ModelFactory> factories_;
};

#define ATTUNE_REGISTER_MODEL(factory) \
  [[maybe_unused]] static const bool attune_model_registered_ = ::attune::training::ModelRegistry::Get().Register(factory)

// What loading a checkpoint into a model did.
struct LoadReport {
  std::vector<std::string> loaded;             // parameters and buffers
  std::vector<std::string> newly_initialised;  // parameters that the checkpoint lacks (a missing pooler, a missing auxiliary head)
  std::vector<std::string> ignored;            // tensors that the model has no use for (an old head)
};

// Copies parameters and buffers of `path` (safetensors; F32, F16 or BF16; names with or without the prefix; old gamma/beta names) into the model. Throws
// std::invalid_argument when a shape differs, a running variance is negative, or a tensor is missing that the layout does not call optional (num_batches_tracked
// always is; of an optional group all or nothing). Where another architecture fits the file better, the message names it.
LoadReport LoadWeights(Model& model, const ModelFactory& factory, const std::string& path);

}  // namespace attune::training
