// EfficientNet B0 to B7 (Tan and Le 2019, https://arxiv.org/abs/1905.11946) as in torchvision.
#include "server/architectures/efficientnet.h"
#include "server/training/models/layers/vision/mobile_trunk_model.h"
#include "server/training/models/model.h"

namespace attune::training {
namespace {

std::unique_ptr<Model> Create(const std::string& name, const nlohmann::json& config, uint64_t seed) {
  const auto parsed = ValueOrThrow(architectures::ParseEfficientNet(name, config));
  MobileTrunkModel::Settings settings;
  settings.nonlinearity = Nonlinearity::kSilu;
  settings.norm = {.epsilon = parsed.norm_epsilon, .momentum = parsed.norm_momentum};
  settings.head_dropout = parsed.dropout;
  settings.stochastic_depth = parsed.stochastic_depth;
  settings.pooling = parsed.pooling;
  return std::make_unique<MobileTrunkModel>(ValueOrThrow(architectures::EfficientNetLayout(parsed)), parsed.trunk, settings, seed);
}

std::vector<ModelFactory> Factories() {
  std::vector<ModelFactory> family;
  for (const std::string& name : architectures::EfficientNetNames()) {
    family.push_back(ImageFactory(name, "EfficientNet (Tan and Le 2019)", [name](const nlohmann::json& config, uint64_t seed) { return Create(name, config, seed); }));
  }
  return family;
}

ATTUNE_REGISTER_MODEL(Factories());

}  // namespace
}  // namespace attune::training
