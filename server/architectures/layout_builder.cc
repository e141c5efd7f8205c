#include "server/architectures/layout_builder.h"

#include <utility>

#include "server/base/str_cat.h"

namespace attune::architectures {
namespace {

constexpr int64_t kMaxParameters = int64_t{1} << 34;

}  // namespace

void LayoutBuilder::BeginGroup(std::string name, bool optional) {
  layout_.groups.push_back(std::move(name));
  optional_ = optional;
}

void LayoutBuilder::Linear(std::string_view name, int64_t out, int64_t in, bool bias) {
  Add(StrCat(name, ".weight"), {out, in}, Role::kLinearWeight);
  if (bias) Add(StrCat(name, ".bias"), {out}, Role::kBias);
}

void LayoutBuilder::Conv(std::string_view name, int64_t out, int64_t in_per_group, int64_t kernel_height, int64_t kernel_width, bool bias) {
  Add(StrCat(name, ".weight"), {out, in_per_group, kernel_height, kernel_width}, Role::kConvWeight);
  if (bias) Add(StrCat(name, ".bias"), {out}, Role::kBias);
}

void LayoutBuilder::BatchNorm(std::string_view name, int64_t channels) {
  LayerNorm(name, channels);  // the same two parameters
  AddBuffer(StrCat(name, ".running_mean"), {channels}, BufferShape::Kind::kRunningMean);
  AddBuffer(StrCat(name, ".running_var"), {channels}, BufferShape::Kind::kRunningVariance);
  AddBuffer(StrCat(name, ".num_batches_tracked"), {}, BufferShape::Kind::kBatchesTracked);
}

void LayoutBuilder::LayerNorm(std::string_view name, int64_t width) {
  Add(StrCat(name, ".weight"), {width}, Role::kNormWeight);
  Add(StrCat(name, ".bias"), {width}, Role::kBias);
}

void LayoutBuilder::Table(std::string_view full_name, std::vector<int64_t> shape) { Add(std::string(full_name), std::move(shape), Role::kTable); }

void LayoutBuilder::Scale(std::string_view full_name, int64_t width) { Add(std::string(full_name), {width}, Role::kLayerScale); }

ModelLayout LayoutBuilder::Take() { return std::exchange(layout_, ModelLayout()); }

void LayoutBuilder::Add(std::string name, std::vector<int64_t> shape, Role role) {
  layout_.parameters.push_back({std::move(name), std::move(shape), layout_.groups.back(), optional_, role});
}

void LayoutBuilder::AddBuffer(std::string name, std::vector<int64_t> shape, BufferShape::Kind kind) {
  layout_.buffers.push_back({std::move(name), std::move(shape), layout_.groups.back(), kind});
}

absl::Status CheckParameterCount(const ModelLayout& layout, std::string_view keys) {
  int64_t total = 0;
  for (const ParameterShape& parameter : layout.parameters) {
    total += parameter.value_count();
    if (total > kMaxParameters) {
      return absl::InvalidArgumentError(StrCat("config.json: ", keys, " together describe over 17 billion parameters; at most 17 billion are supported"));
    }
  }
  return absl::OkStatus();
}

}  // namespace attune::architectures
