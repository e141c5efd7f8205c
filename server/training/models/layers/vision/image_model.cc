#include "server/training/models/layers/vision/image_model.h"

#include <algorithm>
#include <stdexcept>

#include <ATen/core/grad_mode.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace attune::training {

namespace {

// Convolutions are faster on [B, H, W, C] in memory, and everything after them keeps the order that it is given.
at::Tensor InConvolutionOrder(const at::Tensor& x) { return x.dim() == 4 ? x.contiguous(at::MemoryFormat::ChannelsLast) : x; }

}  // namespace

ImageModel::ImageModel(const architectures::ModelLayout& layout, const std::string& prefix, uint64_t seed, const InitOptions& options)
    : set_(layout, prefix, seed, options), input_(layout.image) {}

at::Tensor ImageModel::CheckedPixels(const Batch& batch) const {
  const at::Tensor& pixels = batch.pixels;
  if (!pixels.defined()) throw std::invalid_argument("an image model needs a batch of images");
  if (pixels.dim() != 4 || pixels.size(0) < 1 || pixels.size(1) != 3) {
    throw std::invalid_argument(absl::StrCat("images must come as [at least 1, 3, height, width], not as [", absl::StrJoin(pixels.sizes(), ", "), "]"));
  }
  const int64_t side = std::min(pixels.size(2), pixels.size(3));
  if (side < input_.min_image_size) {
    throw std::invalid_argument(absl::StrCat("an image is ", side, " pixels high or wide, but the model needs at least ", input_.min_image_size,
                                             "; set image_size to at least ", input_.min_image_size));
  }
  return InConvolutionOrder(pixels);
}

ModelOutput ImageModel::Forward(const Batch& batch, const ForwardMode& mode) {
  const int count = static_cast<int>(groups().size());
  const int begin = batch.prefix_output.defined() ? batch.prefix_groups : 0;
  if (begin < 0 || begin > count) throw std::invalid_argument(absl::StrCat("a prefix of ", begin, " groups: the model has ", count));
  const int lowest = set_.LowestTrainableGroup();
  ModelOutput output;
  at::Tensor x = batch.prefix_output.defined() ? InConvolutionOrder(batch.prefix_output) : CheckedPixels(batch);
  const bool outer = at::GradMode::is_enabled();
  at::AutoGradMode grad(outer);  // restores the caller's mode in the end
  for (int group = begin; group < count; ++group) {
    at::GradMode::set_enabled(outer && lowest <= group);
    if (group != auxiliary_group()) {
      // What nothing below learns is in evaluation mode: its output is then the same in every epoch, computed or read from the feature cache.
      x = RunGroup(group, x, lowest <= group ? mode : ForwardMode());
    } else if (mode.training && lowest <= group) {
      output.auxiliary = RunGroup(group, x, mode);
    }
  }
  output.features = x;
  return output;
}

std::vector<int> ImageModel::cut_points() const {
  std::vector<int> points;
  for (int group = 1; group <= static_cast<int>(groups().size()); ++group) points.push_back(group);
  return points;
}

at::Tensor ImageModel::Prefix(const Batch& batch, int groups) {
  if (groups < 1 || groups > static_cast<int>(this->groups().size())) throw std::logic_error(absl::StrCat("a prefix of ", groups, " groups is no cut point"));
  at::NoGradGuard no_grad;
  at::Tensor x = CheckedPixels(batch);
  for (int group = 0; group < groups; ++group) {
    if (group != auxiliary_group()) x = RunGroup(group, x, ForwardMode());
  }
  return x;
}

ModelFactory ImageFactory(std::string architecture, std::string description, std::function<std::unique_ptr<Model>(const nlohmann::json& config, uint64_t seed)> create) {
  ModelFactory factory;
  factory.architecture = std::move(architecture);
  factory.description = std::move(description);
  factory.tasks = {"image-classification", "image-multi-label", "image-regression"};
  factory.exported_class = [](const std::string&) { return std::string(); };
  factory.head_init = HeadInit::kNormal;
  factory.create = std::move(create);
  return factory;
}

}  // namespace attune::training
