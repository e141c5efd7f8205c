// Inception v3 (Szegedy et al. 2015, https://arxiv.org/abs/1512.00567) as in torchvision.
#include "server/architectures/inception_v3.h"

#include <initializer_list>
#include <unordered_map>

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include "server/training/models/layers/vision/conv_norm.h"
#include "server/training/models/layers/vision/image_model.h"
#include "server/training/models/model.h"

namespace attune::training {
namespace {

using architectures::InceptionConvolution;
using architectures::InceptionV3Config;

constexpr double kDeviation = 0.1;  // of torchvision's initial weights
constexpr int64_t kFeatures = 2048, kAuxiliaryFeatures = 768;

// ImageNet's normalisation undone and 0.5, 0.5 done: x * scale + shift for each colour.
at::Tensor TransformInput(const at::Tensor& x) {
  const auto per_colour = [&](double red, double green, double blue) { return at::tensor({red, green, blue}, at::kDouble).view({1, 3, 1, 1}).to(x.options()); };
  return x * per_colour(0.229 / 0.5, 0.224 / 0.5, 0.225 / 0.5) + per_colour((0.485 - 0.5) / 0.5, (0.456 - 0.5) / 0.5, (0.406 - 0.5) / 0.5);
}

class InceptionV3 : public ImageModel {
 public:
  InceptionV3(const InceptionV3Config& config, uint64_t seed)
      : ImageModel(architectures::InceptionV3Layout(config), "", seed, {.convolutions = Initialisation::kNormal, .convolution_deviation = kDeviation}), config_(config) {
    for (const InceptionConvolution& c : architectures::InceptionConvolutions(config.aux_logits)) {
      const ConvSettings settings = {.stride = c.stride, .padding_height = c.padding_height, .padding_width = c.padding_width};
      convolutions_[c.name] = MakeConvNorm(set(), c.name + ".conv", c.name + ".bn", settings, {.epsilon = config.batch_norm_eps}, Nonlinearity::kRelu);
    }
  }

  int64_t feature_size() const override { return kFeatures; }
  int64_t auxiliary_size() const override { return config_.aux_logits ? kAuxiliaryFeatures : 0; }
  double default_head_dropout() const override { return config_.dropout; }

 protected:
  int auxiliary_group() const override { return config_.aux_logits ? 3 : -1; }

  at::Tensor RunGroup(int group, const at::Tensor& x, const ForwardMode& mode) override {
    if (group == auxiliary_group()) return Auxiliary(x, mode);
    switch (group) {
      case 0:
        return Stem(x, mode);
      case 1:
        return Mixed5("Mixed_5d", Mixed5("Mixed_5c", Mixed5("Mixed_5b", x, mode), mode), mode);
      case 2:
        return Mixed6("Mixed_6e", Mixed6("Mixed_6d", Mixed6("Mixed_6c", Mixed6("Mixed_6b", Mixed6a(x, mode), mode), mode), mode), mode);
      default:
        return GlobalPool(Mixed7("Mixed_7c", Mixed7("Mixed_7b", Mixed7a(x, mode), mode), mode), config_.pooling);
    }
  }

 private:
  // One convolution after the other, of a module.
  at::Tensor Run(const std::string& module, std::initializer_list<const char*> names, const at::Tensor& x, const ForwardMode& mode) const {
    at::Tensor y = x;
    for (const char* name : names) y = convolutions_.at(module + name)(y, mode);
    return y;
  }

  at::Tensor PooledBranch(const std::string& module, const at::Tensor& x, const ForwardMode& mode) const {
    const at::Tensor pooled = at::avg_pool2d(x, {3, 3}, {1, 1}, {1, 1}, /*ceil_mode=*/false, config_.pool_count_include_pad);
    return Run(module, {".branch_pool"}, pooled, mode);
  }

  at::Tensor Stem(const at::Tensor& x, const ForwardMode& mode) const {
    const at::Tensor input = config_.transform_input ? TransformInput(x) : x;
    const at::Tensor half = MaxPool(Run("Conv2d_", {"1a_3x3", "2a_3x3", "2b_3x3"}, input, mode), 3, 2, 0);
    return MaxPool(Run("Conv2d_", {"3b_1x1", "4a_3x3"}, half, mode), 3, 2, 0);
  }

  at::Tensor Mixed5(const std::string& m, const at::Tensor& x, const ForwardMode& mode) const {
    return at::cat({Run(m, {".branch1x1"}, x, mode), Run(m, {".branch5x5_1", ".branch5x5_2"}, x, mode),
                    Run(m, {".branch3x3dbl_1", ".branch3x3dbl_2", ".branch3x3dbl_3"}, x, mode), PooledBranch(m, x, mode)},
                   1);
  }

  at::Tensor Mixed6a(const at::Tensor& x, const ForwardMode& mode) const {
    const std::string m = "Mixed_6a";
    return at::cat({Run(m, {".branch3x3"}, x, mode), Run(m, {".branch3x3dbl_1", ".branch3x3dbl_2", ".branch3x3dbl_3"}, x, mode), MaxPool(x, 3, 2, 0)}, 1);
  }

  at::Tensor Mixed6(const std::string& m, const at::Tensor& x, const ForwardMode& mode) const {
    return at::cat({Run(m, {".branch1x1"}, x, mode), Run(m, {".branch7x7_1", ".branch7x7_2", ".branch7x7_3"}, x, mode),
                    Run(m, {".branch7x7dbl_1", ".branch7x7dbl_2", ".branch7x7dbl_3", ".branch7x7dbl_4", ".branch7x7dbl_5"}, x, mode), PooledBranch(m, x, mode)},
                   1);
  }

  at::Tensor Mixed7a(const at::Tensor& x, const ForwardMode& mode) const {
    const std::string m = "Mixed_7a";
    return at::cat({Run(m, {".branch3x3_1", ".branch3x3_2"}, x, mode), Run(m, {".branch7x7x3_1", ".branch7x7x3_2", ".branch7x7x3_3", ".branch7x7x3_4"}, x, mode), MaxPool(x, 3, 2, 0)}, 1);
  }

  at::Tensor Mixed7(const std::string& m, const at::Tensor& x, const ForwardMode& mode) const {
    const at::Tensor single = Run(m, {".branch3x3_1"}, x, mode), twice = Run(m, {".branch3x3dbl_1", ".branch3x3dbl_2"}, x, mode);
    return at::cat({Run(m, {".branch1x1"}, x, mode), Run(m, {".branch3x3_2a"}, single, mode), Run(m, {".branch3x3_2b"}, single, mode), Run(m, {".branch3x3dbl_3a"}, twice, mode),
                    Run(m, {".branch3x3dbl_3b"}, twice, mode), PooledBranch(m, x, mode)},
                   1);
  }

  at::Tensor Auxiliary(const at::Tensor& x, const ForwardMode& mode) const {
    return GlobalAveragePool(Run("AuxLogits", {".conv0", ".conv1"}, at::avg_pool2d(x, {5, 5}, {3, 3}), mode));
  }

  const InceptionV3Config config_;
  std::unordered_map<std::string, ConvNorm> convolutions_;
};

ATTUNE_REGISTER_MODEL(ImageFactory("inception_v3", "Inception v3 (Szegedy et al. 2015)", [](const nlohmann::json& config, uint64_t seed) -> std::unique_ptr<Model> {
  return std::make_unique<InceptionV3>(ValueOrThrow(architectures::ParseInceptionV3(config)), seed);
}));

}  // namespace
}  // namespace attune::training
