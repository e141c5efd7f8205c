#include "server/architectures/inverted_residual.h"

#include <algorithm>
#include <utility>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::architectures {
namespace {

void AddConvNorm(LayoutBuilder& builder, const std::string& name, int64_t out, int64_t in_per_group, int64_t kernel) {
  builder.Conv(name + ".0", out, in_per_group, kernel, kernel, false);
  builder.BatchNorm(name + ".1", out);
}

}  // namespace

void AddInvertedResidual(LayoutBuilder& builder, const InvertedResidualBlock& block) {
  if (!block.expansion.empty()) AddConvNorm(builder, block.expansion, block.expanded, block.in, 1);
  AddConvNorm(builder, block.depthwise, block.expanded, 1, block.kernel);
  if (!block.squeeze.empty()) {
    builder.Conv(block.squeeze + ".fc1", block.squeezed, block.expanded, 1, 1, true);
    builder.Conv(block.squeeze + ".fc2", block.expanded, block.squeezed, 1, 1, true);
  }
  builder.Conv(block.projection, block.out, block.expanded, 1, 1, false);
  builder.BatchNorm(block.projection_norm, block.out);
}

int64_t MakeDivisible(double value, int64_t divisor) {
  const int64_t nearest = std::max(divisor, static_cast<int64_t>(value + static_cast<double>(divisor) / 2) / divisor * divisor);
  return static_cast<double>(nearest) < 0.9 * value ? nearest + divisor : nearest;
}

void MobileTrunk::Add(InvertedResidualBlock block, bool begins_stage) {
  if (groups.empty()) groups.push_back("stem");
  if (begins_stage) groups.push_back(StrCat("stage", groups.size()));
  block.group = static_cast<int>(groups.size()) - 1;
  blocks.push_back(std::move(block));
}

absl::StatusOr<ModelLayout> TrunkLayout(const MobileTrunk& trunk, const ImageInput& image, std::string_view keys) {
  LayoutBuilder builder;
  int group = 0;
  builder.BeginGroup(trunk.groups[0]);
  AddConvNorm(builder, trunk.first, trunk.first_channels, 3, 3);
  for (const InvertedResidualBlock& block : trunk.blocks) {
    if (block.group != group) builder.BeginGroup(trunk.groups[group = block.group]);
    AddInvertedResidual(builder, block);
  }
  builder.BeginGroup("last_conv");
  AddConvNorm(builder, trunk.last, trunk.last_channels, trunk.blocks.back().out, 1);
  ModelLayout layout = builder.Take();
  ATTUNE_RETURN_IF_ERROR(CheckParameterCount(layout, keys));
  layout.image = image;
  return layout;
}

}  // namespace attune::architectures
