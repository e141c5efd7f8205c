// MobileTrunkModel: the trunk that MobileNetV2 and EfficientNet share (server/architectures/inverted_residual.h), with the nonlinearity and the norms of either. As thread-safe as a Model.
//
//   return std::make_unique<MobileTrunkModel>(layout, config.trunk, MobileTrunkModel::Settings{.nonlinearity = Nonlinearity::kRelu6}, seed);
#pragma once

#include <vector>

#include "server/architectures/inverted_residual.h"
#include "server/training/models/layers/vision/conv_norm.h"
#include "server/training/models/layers/vision/image_model.h"

namespace attune::training {

class MobileTrunkModel : public ImageModel {
 public:
  struct Settings {
    Nonlinearity nonlinearity = Nonlinearity::kRelu6;
    NormSettings norm;
    double head_dropout = 0.2;
    double stochastic_depth = 0;  // block i of n has i / n of it
    architectures::Pooling pooling = architectures::Pooling::kOwn;
  };
  MobileTrunkModel(const architectures::ModelLayout& layout, const architectures::MobileTrunk& trunk, const Settings& settings, uint64_t seed);
  int64_t feature_size() const override { return last_.norm.weight.size(0); }
  double default_head_dropout() const override { return settings_.head_dropout; }

 protected:
  at::Tensor RunGroup(int group, const at::Tensor& x, const ForwardMode& mode) override;

 private:
  ConvNorm Named(const std::string& name, const ConvSettings& convolution) const;
  InvertedResidual MakeBlock(const architectures::InvertedResidualBlock& block) const;

  const Settings settings_;
  ConvNorm first_, last_;
  std::vector<std::vector<InvertedResidual>> blocks_;  // by group
};

}  // namespace attune::training
