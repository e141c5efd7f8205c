// MobileNetV2 (Sandler et al. 2018, https://arxiv.org/abs/1801.04381) as in torchvision.
#include "server/architectures/mobilenet_v2.h"
#include "server/training/models/layers/vision/mobile_trunk_model.h"
#include "server/training/models/model.h"

namespace attune::training {
namespace {

std::unique_ptr<Model> Create(const nlohmann::json& config, uint64_t seed) {
  const auto parsed = ValueOrThrow(architectures::ParseMobileNetV2(config));
  const MobileTrunkModel::Settings settings = {.nonlinearity = Nonlinearity::kRelu6, .head_dropout = parsed.dropout, .pooling = parsed.pooling};
  return std::make_unique<MobileTrunkModel>(ValueOrThrow(architectures::MobileNetV2Layout(parsed)), parsed.trunk, settings, seed);
}

ATTUNE_REGISTER_MODEL(ImageFactory("mobilenet_v2", "MobileNetV2 (Sandler et al. 2018)", Create));

}  // namespace
}  // namespace attune::training
