// The Vision Transformer (Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929) as in transformers' ViTModel: pre-norm layers on patch tokens, learnt positions, the
// class token's output after the last norm as features (ViTForImageClassification uses no pooler).
#include "server/architectures/vit.h"

#include <memory>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/dropout.h>

#include "absl/strings/str_cat.h"
#include "server/training/models/layers/activation.h"
#include "server/training/models/layers/vision/image_model.h"
#include "server/training/models/layers/vision/transformer_blocks.h"
#include "server/training/models/model.h"

namespace attune::training {
namespace {

using architectures::ModelLayout;
using architectures::Pooling;
using architectures::VitConfig;

constexpr char kName[] = "vit";

struct Layer {
  NormWeights before;
  SelfAttentionWeights attention;
  NormWeights after;
  LinearWeights intermediate, output;
};

class VitModel : public ImageModel {
 public:
  VitModel(const VitConfig& config, const ModelLayout& layout, const std::string& prefix, uint64_t seed)
      : ImageModel(layout, prefix, seed, InitOf(config)), config_(config), pooling_(config.common.pooling == Pooling::kOwn ? Pooling::kFirstToken : config.common.pooling),
        embedding_(PatchEmbeddingOf(set())), norm_(NormOf(set(), "layernorm")) {
    ParseActivation(config.common.hidden_act, &activation_);
    for (int64_t i = 0; i < config.common.layers; ++i) layers_.push_back(LayerOf(absl::StrCat("encoder.layer.", i)));
  }

  int64_t feature_size() const override { return config_.common.hidden_size; }
  double default_head_dropout() const override { return 0; }

 protected:
  at::Tensor RunGroup(int group, const at::Tensor& x, const ForwardMode& mode) override {
    if (group == 0) return Dropout(EmbedPatches(embedding_, x), mode);
    const size_t layer = static_cast<size_t>(group) - 1;
    if (layer < layers_.size()) return RunLayer(layers_[layer], x, mode, layer + 1 == layers_.size() && pooling_ == Pooling::kFirstToken);
    return PoolTokens(Normalise(norm_, x, config_.common.layer_norm_eps), pooling_);
  }

 private:
  static InitOptions InitOf(const VitConfig& config) {
    InitOptions options;
    options.convolutions = Initialisation::kNormal;
    options.convolution_deviation = options.linear_deviation = options.table_deviation = config.common.initializer_range;
    return options;
  }

  Layer LayerOf(const std::string& name) const {
    Layer layer;
    layer.before = NormOf(set(), name + ".layernorm_before");
    layer.attention = SelfAttentionOf(set(), name);
    layer.after = NormOf(set(), name + ".layernorm_after");
    layer.intermediate = LinearOf(set(), name + ".intermediate.dense");
    layer.output = LinearOf(set(), name + ".output.dense");
    return layer;
  }

  at::Tensor Dropout(const at::Tensor& x, const ForwardMode& mode) const { return at::dropout(x, config_.common.hidden_dropout, mode.training); }

  // Where only the class token goes on from the last layer, that needs keys and values of all tokens, and everything else of one.
  at::Tensor RunLayer(const Layer& layer, const at::Tensor& x, const ForwardMode& mode, bool first_token_alone) const {
    SelfAttentionSettings settings;
    settings.heads = config_.common.heads;
    settings.dropout = mode.training ? config_.common.attention_dropout : 0;
    settings.queries = first_token_alone ? 1 : x.size(1);
    const double epsilon = config_.common.layer_norm_eps;
    const at::Tensor attended = Dropout(SelfAttention(layer.attention, Normalise(layer.before, x, epsilon), settings), mode) + x.narrow(1, 0, settings.queries);
    const at::Tensor wide = Activate(activation_, Linear(layer.intermediate, Normalise(layer.after, attended, epsilon)));
    return Dropout(Linear(layer.output, wide), mode) + attended;
  }

  const VitConfig config_;
  const Pooling pooling_;
  const PatchEmbedding embedding_;
  const NormWeights norm_;
  Activation activation_ = Activation::kGelu;
  std::vector<Layer> layers_;
};

ModelFactory VitFactory() {
  ModelFactory factory;
  factory.architecture = kName;
  factory.description = "Vision Transformer (Dosovitskiy et al. 2020): ViT-B/16 and others that transformers loads as ViTModel";
  factory.tasks = {"image-classification", "image-multi-label", "image-regression"};
  factory.exported_class = [](const std::string&) { return std::string("ViTForImageClassification"); };
  factory.head_init = HeadInit::kNormal;
  factory.create = [](const nlohmann::json& config, uint64_t seed) -> std::unique_ptr<Model> {
    const architectures::Architecture& architecture = *architectures::ArchitectureRegistry::Get().Find(kName);
    const ModelLayout layout = ValueOrThrow(architecture.describe(config));
    return std::make_unique<VitModel>(ValueOrThrow(architectures::ReadVitConfig(config)), layout, architecture.prefix, seed);
  };
  return factory;
}

ATTUNE_REGISTER_MODEL(VitFactory());

}  // namespace
}  // namespace attune::training
