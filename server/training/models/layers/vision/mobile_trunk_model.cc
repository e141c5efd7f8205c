#include "server/training/models/layers/vision/mobile_trunk_model.h"

namespace attune::training {

using architectures::InvertedResidualBlock;

MobileTrunkModel::MobileTrunkModel(const architectures::ModelLayout& layout, const architectures::MobileTrunk& trunk, const Settings& settings, uint64_t seed)
    : ImageModel(layout, "", seed, {.convolutions = Initialisation::kKaimingFanOut}), settings_(settings) {
  first_ = Named(trunk.first, {.stride = 2, .padding_height = 1, .padding_width = 1});
  last_ = Named(trunk.last, {});
  blocks_.resize(groups().size());
  for (size_t i = 0; i < trunk.blocks.size(); ++i) {
    InvertedResidual block = MakeBlock(trunk.blocks[i]);
    block.stochastic_depth = settings_.stochastic_depth * static_cast<double>(i) / static_cast<double>(trunk.blocks.size());
    blocks_[trunk.blocks[i].group].push_back(std::move(block));
  }
}

ConvNorm MobileTrunkModel::Named(const std::string& name, const ConvSettings& convolution) const {
  return MakeConvNorm(set(), name + ".0", name + ".1", convolution, settings_.norm, settings_.nonlinearity);
}

InvertedResidual MobileTrunkModel::MakeBlock(const InvertedResidualBlock& b) const {
  InvertedResidual block;
  if (!b.expansion.empty()) block.convolutions.push_back(Named(b.expansion, {}));
  block.convolutions.push_back(Named(b.depthwise, {.stride = b.stride, .padding_height = b.kernel / 2, .padding_width = b.kernel / 2, .groups = b.expanded}));
  if (!b.squeeze.empty()) block.squeeze_excitation = SqueezeExcitation{MakeConvolution(set(), b.squeeze + ".fc1", {}), MakeConvolution(set(), b.squeeze + ".fc2", {})};
  block.projection = MakeConvNorm(set(), b.projection, b.projection_norm, {}, settings_.norm, Nonlinearity::kNone);
  block.residual = b.residual();
  return block;
}

at::Tensor MobileTrunkModel::RunGroup(int group, const at::Tensor& x, const ForwardMode& mode) {
  if (group + 1 == static_cast<int>(groups().size())) return GlobalPool(last_(x, mode), settings_.pooling);
  at::Tensor y = group == 0 ? first_(x, mode) : x;
  for (const InvertedResidual& block : blocks_[group]) y = block(y, mode);
  return y;
}

}  // namespace attune::training
