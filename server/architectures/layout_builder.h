// LayoutBuilder: adds an architecture's parameters and buffers in model order, each to the group that was begun last. `name` is the module's, without ".weight";
// `full_name` is the parameter's own. Sizes are bounded by the caller, so that no product of one shape overflows. Not thread-safe.
//
//   LayoutBuilder builder;
//   builder.BeginGroup("stem");
//   builder.Conv("conv1", 64, 3, 7, 7, /*bias=*/false);
//   builder.BatchNorm("bn1", 64);
//   ModelLayout layout = builder.Take();
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/architectures/architecture.h"

namespace attune::architectures {

class LayoutBuilder {
 public:
  // `optional`: a checkpoint may lack the whole group.
  void BeginGroup(std::string name, bool optional = false);
  void Linear(std::string_view name, int64_t out, int64_t in, bool bias = true);
  void Conv(std::string_view name, int64_t out, int64_t in_per_group, int64_t kernel_height, int64_t kernel_width, bool bias);
  void BatchNorm(std::string_view name, int64_t channels);  // weight, bias and the three buffers
  void LayerNorm(std::string_view name, int64_t width);
  void Table(std::string_view full_name, std::vector<int64_t> shape);
  void Scale(std::string_view full_name, int64_t width);
  ModelLayout Take();  // leaves the builder empty

 private:
  void Add(std::string name, std::vector<int64_t> shape, Role role);
  void AddBuffer(std::string name, std::vector<int64_t> shape, BufferShape::Kind kind);
  bool optional_ = false;
  ModelLayout layout_;
};

// INVALID_ARGUMENT when the parameters together are more than 17 billion values (64 GiB of fp32); `keys` names what to lower ("layers and width_per_group").
absl::Status CheckParameterCount(const ModelLayout& layout, std::string_view keys);

}  // namespace attune::architectures
