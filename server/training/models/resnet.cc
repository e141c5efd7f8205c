// ResNet (He et al. 2015, https://arxiv.org/abs/1512.03385), ResNeXt (Xie et al. 2016) and Wide ResNet (Zagoruyko and Komodakis 2016) as in torchvision: the stride of a bottleneck lies on
// its 3 x 3 convolution.
#include "server/architectures/resnet.h"

#include <optional>
#include <utility>

#include <ATen/TensorOperators.h>

#include "absl/strings/str_cat.h"
#include "server/training/models/layers/vision/conv_norm.h"
#include "server/training/models/layers/vision/image_model.h"
#include "server/training/models/model.h"

namespace attune::training {
namespace {

using architectures::ResNetConfig;

struct Block {
  std::vector<ConvNorm> convolutions;  // the last one without nonlinearity: that comes after the sum
  std::optional<ConvNorm> shortcut;
  at::Tensor operator()(const at::Tensor& x, const ForwardMode& mode) const {
    at::Tensor y = x;
    for (const ConvNorm& convolution : convolutions) y = convolution(y, mode);
    return ApplyNonlinearity(Nonlinearity::kRelu, y + (shortcut ? (*shortcut)(x, mode) : x));
  }
};

class ResNet : public ImageModel {
 public:
  ResNet(const ResNetConfig& config, uint64_t seed)
      : ImageModel(ValueOrThrow(architectures::ResNetLayout(config)), "", seed, {.convolutions = Initialisation::kKaimingFanOut}), feature_size_(config.channels(3)), pooling_(config.pooling) {
    stem_ = MakeConvNorm(set(), "conv1", "bn1", {.stride = 2, .padding_height = 3, .padding_width = 3}, {}, Nonlinearity::kRelu);
    for (int layer = 0; layer < 4; ++layer) {
      layers_.emplace_back();
      for (int64_t i = 0; i < config.layers[layer]; ++i) {
        layers_.back().push_back(MakeBlock(config, absl::StrCat("layer", layer + 1, ".", i), i == 0 && layer > 0 ? 2 : 1));
      }
    }
  }

  int64_t feature_size() const override { return feature_size_; }
  double default_head_dropout() const override { return 0; }

 protected:
  at::Tensor RunGroup(int group, const at::Tensor& x, const ForwardMode& mode) override {
    if (group == 0) return MaxPool(stem_(x, mode), 3, 2, 1);
    at::Tensor y = x;
    for (const Block& block : layers_[group - 1]) y = block(y, mode);
    return group == 4 ? GlobalPool(y, pooling_) : y;
  }

 private:
  ConvNorm Numbered(const std::string& block, int number, const ConvSettings& settings, Nonlinearity nonlinearity) const {
    return MakeConvNorm(set(), absl::StrCat(block, ".conv", number), absl::StrCat(block, ".bn", number), settings, {}, nonlinearity);
  }

  Block MakeBlock(const ResNetConfig& c, const std::string& name, int64_t stride) const {
    Block block;
    const ConvSettings wide = {.stride = stride, .padding_height = 1, .padding_width = 1, .groups = c.groups};
    if (c.bottleneck) {
      block.convolutions = {Numbered(name, 1, {}, Nonlinearity::kRelu), Numbered(name, 2, wide, Nonlinearity::kRelu), Numbered(name, 3, {}, Nonlinearity::kNone)};
    } else {
      block.convolutions = {Numbered(name, 1, wide, Nonlinearity::kRelu), Numbered(name, 2, {.padding_height = 1, .padding_width = 1}, Nonlinearity::kNone)};
    }
    if (set().Has(name + ".downsample.0.weight")) {
      block.shortcut = MakeConvNorm(set(), name + ".downsample.0", name + ".downsample.1", {.stride = stride}, {}, Nonlinearity::kNone);
    }
    return block;
  }

  const int64_t feature_size_;
  const architectures::Pooling pooling_;
  ConvNorm stem_;
  std::vector<std::vector<Block>> layers_;
};

std::string Description(const std::string& name) {
  if (name.find("resnext") == 0) return "ResNeXt (Xie et al. 2016)";
  return name.find("wide") == 0 ? "Wide ResNet (Zagoruyko and Komodakis 2016)" : "ResNet (He et al. 2015)";
}

std::vector<ModelFactory> Factories() {
  std::vector<ModelFactory> family;
  for (const std::string& name : architectures::ResNetNames()) {
    family.push_back(ImageFactory(name, Description(name), [name](const nlohmann::json& config, uint64_t seed) -> std::unique_ptr<Model> {
      return std::make_unique<ResNet>(ValueOrThrow(architectures::ParseResNet(name, config)), seed);
    }));
  }
  return family;
}

ATTUNE_REGISTER_MODEL(Factories());

}  // namespace
}  // namespace attune::training
