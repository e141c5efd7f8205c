// DINOv2 (Oquab et al. 2023, https://arxiv.org/abs/2304.07193) as in transformers' Dinov2Model: pre-norm layers on patch tokens whose branches are scaled, learnt
// positions, stochastic depth. Features are those of Dinov2ForImageClassification: the class token beside the mean of the patches' tokens, after the last norm.
#include "server/architectures/dinov2.h"

#include <memory>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/silu.h>

#include "absl/strings/str_cat.h"
#include "server/training/models/layers/activation.h"
#include "server/training/models/layers/vision/conv_norm.h"
#include "server/training/models/layers/vision/image_model.h"
#include "server/training/models/layers/vision/transformer_blocks.h"
#include "server/training/models/model.h"

namespace attune::training {
namespace {

using architectures::Dinov2Config;
using architectures::ModelLayout;
using architectures::Pooling;

constexpr char kName[] = "dinov2";

struct Layer {
  NormWeights norm1;
  SelfAttentionWeights attention;
  at::Tensor scale1;  // [H]
  NormWeights norm2;
  LinearWeights in, out;  // of the feed-forward part; with SwiGLU `in` gives gate and value, one after the other
  at::Tensor scale2;
};

class Dinov2Model : public ImageModel {
 public:
  Dinov2Model(const Dinov2Config& config, const ModelLayout& layout, const std::string& prefix, uint64_t seed)
      : ImageModel(layout, prefix, seed, InitOf(config)), config_(config), embedding_(PatchEmbeddingOf(set())), norm_(NormOf(set(), "layernorm")) {
    ParseActivation(config.common.hidden_act, &activation_);
    for (int64_t i = 0; i < config.common.layers; ++i) layers_.push_back(LayerOf(absl::StrCat("encoder.layer.", i)));
  }

  int64_t feature_size() const override { return (config_.common.pooling == Pooling::kOwn ? 2 : 1) * config_.common.hidden_size; }
  double default_head_dropout() const override { return 0; }

 protected:
  at::Tensor RunGroup(int group, const at::Tensor& x, const ForwardMode& mode) override {
    if (group == 0) return at::dropout(EmbedPatches(embedding_, x), config_.common.hidden_dropout, mode.training);
    const size_t layer = static_cast<size_t>(group) - 1;
    if (layer < layers_.size()) return RunLayer(layers_[layer], x, mode);
    const at::Tensor tokens = Normalise(norm_, x, config_.common.layer_norm_eps);
    if (config_.common.pooling != Pooling::kOwn) return PoolTokens(tokens, config_.common.pooling);
    return at::cat({PoolTokens(tokens, Pooling::kFirstToken), PoolTokens(tokens, Pooling::kMean)}, 1);
  }

 private:
  static InitOptions InitOf(const Dinov2Config& config) {
    InitOptions options;
    options.convolutions = Initialisation::kNormal;
    options.convolution_deviation = options.linear_deviation = options.table_deviation = config.common.initializer_range;
    options.layer_scale = config.layer_scale;
    return options;
  }

  Layer LayerOf(const std::string& name) const {
    Layer layer;
    layer.norm1 = NormOf(set(), name + ".norm1");
    layer.attention = SelfAttentionOf(set(), name);
    layer.scale1 = set().Get(name + ".layer_scale1.lambda1");
    layer.norm2 = NormOf(set(), name + ".norm2");
    layer.in = LinearOf(set(), name + (config_.swiglu ? ".mlp.weights_in" : ".mlp.fc1"));
    layer.out = LinearOf(set(), name + (config_.swiglu ? ".mlp.weights_out" : ".mlp.fc2"));
    layer.scale2 = set().Get(name + ".layer_scale2.lambda1");
    return layer;
  }

  at::Tensor FeedForward(const Layer& layer, const at::Tensor& x) const {
    const at::Tensor wide = Linear(layer.in, x);
    if (!config_.swiglu) return Linear(layer.out, Activate(activation_, wide));
    const std::vector<at::Tensor> halves = wide.chunk(2, -1);
    return Linear(layer.out, at::silu(halves[0]) * halves[1]);
  }

  at::Tensor DropPath(const at::Tensor& branch, const ForwardMode& mode) const { return StochasticDepth(branch, config_.drop_path, mode); }

  at::Tensor RunLayer(const Layer& layer, const at::Tensor& x, const ForwardMode& mode) const {
    SelfAttentionSettings settings;
    settings.heads = config_.common.heads;
    settings.dropout = mode.training ? config_.common.attention_dropout : 0;
    const double epsilon = config_.common.layer_norm_eps;
    const at::Tensor attended = DropPath(SelfAttention(layer.attention, Normalise(layer.norm1, x, epsilon), settings) * layer.scale1, mode) + x;
    return DropPath(FeedForward(layer, Normalise(layer.norm2, attended, epsilon)) * layer.scale2, mode) + attended;
  }

  const Dinov2Config config_;
  const PatchEmbedding embedding_;
  const NormWeights norm_;
  Activation activation_ = Activation::kGelu;
  std::vector<Layer> layers_;
};

ModelFactory Dinov2Factory() {
  ModelFactory factory;
  factory.architecture = kName;
  factory.description = "DINOv2 (Oquab et al. 2023): ViT-S/14 and others that transformers loads as Dinov2Model";
  factory.tasks = {"image-classification", "image-multi-label", "image-regression"};
  factory.exported_class = [](const std::string&) { return std::string("Dinov2ForImageClassification"); };
  factory.head_init = HeadInit::kNormal;
  factory.create = [](const nlohmann::json& config, uint64_t seed) -> std::unique_ptr<Model> {
    const architectures::Architecture& architecture = *architectures::ArchitectureRegistry::Get().Find(kName);
    const ModelLayout layout = ValueOrThrow(architecture.describe(config));
    return std::make_unique<Dinov2Model>(ValueOrThrow(architectures::ReadDinov2Config(config)), layout, architecture.prefix, seed);
  };
  return factory;
}

ATTUNE_REGISTER_MODEL(Dinov2Factory());

}  // namespace
}  // namespace attune::training
