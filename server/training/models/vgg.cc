// VGG (Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556) as in torchvision, with and without BatchNorm. The features are what classifier.6 takes.
#include "server/architectures/vgg.h"

#include <utility>

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/linear.h>

#include "absl/strings/str_cat.h"
#include "server/training/models/layers/vision/conv_norm.h"
#include "server/training/models/layers/vision/image_model.h"
#include "server/training/models/model.h"

namespace attune::training {
namespace {

using architectures::VggConfig;

class Vgg : public ImageModel {
 public:
  Vgg(const VggConfig& config, uint64_t seed)
      : ImageModel(ValueOrThrow(architectures::VggLayout(config)), "", seed, {.convolutions = Initialisation::kKaimingFanOut, .linear_deviation = 0.01}), config_(config) {
    for (const std::vector<int64_t>& block : architectures::VggModuleNumbers(config)) {
      blocks_.emplace_back();
      for (const int64_t number : block) {
        blocks_.back().convolutions.push_back(MakeConvolution(set(), absl::StrCat("features.", number), {.padding_height = 1, .padding_width = 1}));
        if (config.batch_norm) blocks_.back().norms.push_back(MakeBatchNorm(set(), absl::StrCat("features.", number + 1), {}));
      }
    }
  }

  int64_t feature_size() const override { return config_.pooling == architectures::Pooling::kOwn ? config_.classifier_width : config_.blocks.back().back(); }
  double default_head_dropout() const override { return config_.dropout; }

 protected:
  at::Tensor RunGroup(int group, const at::Tensor& x, const ForwardMode& mode) override {
    const int last = static_cast<int>(blocks_.size()) - 1;
    if (group > last) return Classifier(x, mode);
    const Block& block = blocks_[group];
    at::Tensor y = x;
    for (size_t i = 0; i < block.convolutions.size(); ++i) {
      y = block.convolutions[i](y);
      if (config_.batch_norm) y = block.norms[i](y, mode);
      y = ApplyNonlinearity(Nonlinearity::kRelu, std::move(y));
    }
    y = MaxPool(y, 2, 2, 0);
    return group == last && config_.pooling != architectures::Pooling::kOwn ? GlobalPool(y, config_.pooling) : y;
  }

 private:
  struct Block {
    std::vector<Convolution> convolutions;
    std::vector<BatchNorm> norms;  // one for each convolution, or none at all
  };

  at::Tensor Linear(const std::string& name, const at::Tensor& x) const {
    return ApplyNonlinearity(Nonlinearity::kRelu, at::linear(x, set().Get(name + ".weight"), set().Get(name + ".bias")));
  }

  at::Tensor Classifier(const at::Tensor& x, const ForwardMode& mode) const {
    constexpr int64_t kSide = architectures::kVggPooledSide;
    const at::Tensor pooled = at::adaptive_avg_pool2d(x, {kSide, kSide}).contiguous().flatten(1);
    return Linear("classifier.3", at::dropout(Linear("classifier.0", pooled), config_.dropout, mode.training));
  }

  const VggConfig config_;
  std::vector<Block> blocks_;
};

std::vector<ModelFactory> Factories() {
  std::vector<ModelFactory> family;
  for (const std::string& name : architectures::VggNames()) {
    family.push_back(ImageFactory(name, "VGG (Simonyan and Zisserman 2014)", [name](const nlohmann::json& config, uint64_t seed) -> std::unique_ptr<Model> {
      return std::make_unique<Vgg>(ValueOrThrow(architectures::ParseVgg(name, config)), seed);
    }));
  }
  return family;
}

ATTUNE_REGISTER_MODEL(Factories());

}  // namespace
}  // namespace attune::training
