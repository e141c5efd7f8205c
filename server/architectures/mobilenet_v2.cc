#include "server/architectures/mobilenet_v2.h"

#include <algorithm>
#include <array>

#include "absl/status/status.h"
#include "server/architectures/config_values.h"
#include "server/architectures/image_config.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::architectures {
namespace {

using Row = std::array<int64_t, 4>;  // expansion, channels, blocks, stride of the first

constexpr size_t kMaxRows = 32;
constexpr Row kLargest = {32, 4096, 64, 2};

absl::StatusOr<std::vector<Row>> ReadSetting(const nlohmann::json& config) {
  constexpr char kKey[] = "inverted_residual_setting";
  const auto found = config.find(kKey);
  if (found == config.end() || found->is_null()) {
    return std::vector<Row>{{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  }
  const auto is_row = [](const nlohmann::json& row) {
    if (!row.is_array() || row.size() != kLargest.size()) return false;
    for (size_t i = 0; i < kLargest.size(); ++i) {
      if (!IsInteger(row[i], 1, kLargest[i])) return false;
    }
    return true;
  };
  if (!found->is_array() || found->empty() || found->size() > kMaxRows || !std::all_of(found->begin(), found->end(), is_row)) {
    return ConfigError(kKey, *found, StrCat("it must be a list of 1 to ", kMaxRows, " rows [expansion, channels, blocks, stride], whole numbers from 1 to ", kLargest[0], ", ", kLargest[1], ", ",
                                            kLargest[2], " and ", kLargest[3]));
  }
  return found->get<std::vector<Row>>();
}

InvertedResidualBlock MakeBlock(const std::string& name, int64_t in, int64_t out, int64_t expansion, int64_t stride) {
  InvertedResidualBlock block;
  int next = 0;
  if (expansion != 1) block.expansion = StrCat(name, ".conv.", next++);
  block.depthwise = StrCat(name, ".conv.", next++);
  block.projection = StrCat(name, ".conv.", next++);
  block.projection_norm = StrCat(name, ".conv.", next);
  block.in = in, block.expanded = in * expansion, block.out = out, block.stride = stride;
  return block;
}

absl::StatusOr<ModelLayout> Describe(const nlohmann::json& config) {
  ATTUNE_ASSIGN_OR_RETURN(const MobileNetV2Config parsed, ParseMobileNetV2(config));
  return MobileNetV2Layout(parsed);
}

ATTUNE_REGISTER_ARCHITECTURE((Architecture{.name = "mobilenet_v2", .modality = Modality::kImage, .head_name = "classifier.1", .describe = Describe}));

}  // namespace

absl::StatusOr<MobileNetV2Config> ParseMobileNetV2(const nlohmann::json& config) {
  MobileNetV2Config c;
  ATTUNE_ASSIGN_OR_RETURN(const double width, ConfigReal(config, "width_mult", 1, 0.01, 8));
  ATTUNE_ASSIGN_OR_RETURN(const int64_t divisor, ConfigInteger(config, "round_nearest", 8, 1, 64));
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<Row> setting, ReadSetting(config));
  c.trunk.first_channels = MakeDivisible(32 * width, divisor);
  int64_t in = c.trunk.first_channels;
  int number = 1;
  for (size_t i = 0; i < setting.size(); ++i) {
    const auto& [expansion, channels, blocks, stride] = setting[i];
    const int64_t out = MakeDivisible(static_cast<double>(channels) * width, divisor);
    for (int64_t block = 0; block < blocks; ++block) {
      c.trunk.Add(MakeBlock(StrCat("features.", number++), in, out, expansion, block == 0 ? stride : 1), block == 0 && (i == 0 || stride > 1));
      in = out;
    }
  }
  c.trunk.last = StrCat("features.", number);
  c.trunk.last_channels = MakeDivisible(1280 * std::max(1.0, width), divisor);
  ATTUNE_ASSIGN_OR_RETURN(c.dropout, ConfigReal(config, "dropout", c.dropout, 0, kMaxDropout));
  ATTUNE_ASSIGN_OR_RETURN(c.pooling, ReadPooling(config, TokenOutput::kPositionsAlone));
  ATTUNE_ASSIGN_OR_RETURN(c.image, ReadImageInput(config, {.image_size = 224, .resize_size = 256}));
  return c;
}

absl::StatusOr<ModelLayout> MobileNetV2Layout(const MobileNetV2Config& config) {
  return TrunkLayout(config.trunk, config.image, "width_mult, round_nearest and inverted_residual_setting");
}

}  // namespace attune::architectures
