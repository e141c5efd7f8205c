// ImageModel: what every image architecture has in common: its tensors, and the chain of groups from pixels to pooled features. A model implements RunGroup. Not
// thread-safe, as model.h says. Throws std::invalid_argument for images that it cannot take.
//
//   class ResNet : public ImageModel {
//     at::Tensor RunGroup(int group, const at::Tensor& x, const ForwardMode& mode) override;
//     ...
//   };
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/architectures/architecture.h"
#include "server/training/models/layers/vision/parameter_set.h"
#include "server/training/models/model.h"

namespace attune::training {

class ImageModel : public Model {
 public:
  const std::vector<Parameter>& parameters() const override { return set_.parameters(); }
  const std::vector<Buffer>& buffers() const override { return set_.buffers(); }
  const std::vector<std::string>& groups() const override { return set_.groups(); }
  ModelOutput Forward(const Batch& batch, const ForwardMode& mode) override;
  std::vector<int> cut_points() const override;  // every boundary of groups
  at::Tensor Prefix(const Batch& batch, int groups) override;
  void To(const at::Device& device) override { set_.To(device); }

 protected:
  ImageModel(const architectures::ModelLayout& layout, const std::string& prefix, uint64_t seed, const InitOptions& options);
  const ParameterSet& set() const { return set_; }
  const architectures::ImageInput& input() const { return input_; }

  // Output of one group from that of the group before it; the first takes pixels [B, 3, H, W], the last gives the features [B, feature_size].
  virtual at::Tensor RunGroup(int group, const at::Tensor& x, const ForwardMode& mode) = 0;
  // The group of an auxiliary classifier, -1 for none. RunGroup gives ModelOutput::auxiliary for it; the next group goes on from the same input.
  virtual int auxiliary_group() const { return -1; }

 private:
  at::Tensor CheckedPixels(const Batch& batch) const;

  ParameterSet set_;
  const architectures::ImageInput input_;
};

// A factory of torchvision's conventions: the three image tasks, no class name to export, a head as its VGG and MobileNetV2 begin with (normal(0, 0.01), bias 0; what torch.nn.Linear
// draws is wider, and a short job on few images pays for it: docs/benchmarks.md).
ModelFactory ImageFactory(std::string architecture, std::string description, std::function<std::unique_ptr<Model>(const nlohmann::json& config, uint64_t seed)> create);

}  // namespace attune::training
