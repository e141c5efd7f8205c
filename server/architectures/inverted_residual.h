// The block of MobileNetV2 (Sandler et al. 2018) and, with squeeze-excitation, of EfficientNet (Tan and Le 2019): its sizes and its modules' names, which the two
// write differently. Shared by both architectures and by server/training/models. Torch-free; pure.
//
//   AddInvertedResidual(builder, block);   // its parameters and buffers, to the group begun last
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/architectures/layout_builder.h"

namespace attune::architectures {

struct InvertedResidualBlock {
  int group = 0;              // index into the layout's groups
  std::string expansion;      // "features.2.conv.0": its convolution is ".0", its BatchNorm ".1"; empty: as many channels as come in
  std::string depthwise;      // likewise
  std::string squeeze;        // with convolutions ".fc1" and ".fc2"; empty: none
  std::string projection;     // convolution
  std::string projection_norm;
  int64_t in = 0, expanded = 0, out = 0;
  int64_t squeezed = 0;       // channels between fc1 and fc2
  int64_t kernel = 3;
  int64_t stride = 1;
  bool residual() const { return stride == 1 && in == out; }
};

void AddInvertedResidual(LayoutBuilder& builder, const InvertedResidualBlock& block);

// The multiple of `divisor` nearest to `value`, but not below 9/10 of it: how both libraries round numbers of channels.
int64_t MakeDivisible(double value, int64_t divisor);

// A first convolution, blocks, and a last convolution, each of the two with ".0" and ".1": the trunk of both architectures. Groups are stem, stage1, ... (blocks at one
// resolution) and last_conv.
struct MobileTrunk {
  std::string first = "features.0", last;
  int64_t first_channels = 0, last_channels = 0;
  std::vector<InvertedResidualBlock> blocks;
  std::vector<std::string> groups;

  // Appends a block, to a new group where `begins_stage`.
  void Add(InvertedResidualBlock block, bool begins_stage);
};

// `keys`: for the message when there are too many parameters.
absl::StatusOr<ModelLayout> TrunkLayout(const MobileTrunk& trunk, const ImageInput& image, std::string_view keys);

}  // namespace attune::architectures
