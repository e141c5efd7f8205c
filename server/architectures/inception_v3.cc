#include "server/architectures/inception_v3.h"

#include <initializer_list>

#include "absl/status/status.h"
#include "server/architectures/config_values.h"
#include "server/architectures/image_config.h"
#include "server/architectures/layout_builder.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::architectures {
namespace {

constexpr int kMinImageSize = 75;      // a map of 1 x 1 in mixed7
constexpr int kMinAuxImageSize = 299;  // the auxiliary classifier's 5 x 5 convolution after its pool

// Adds the convolutions of one module after another.
class Builder {
 public:
  struct Branch {
    const char* name;
    int64_t out, in;
    int64_t height = 1, width = 1;
    bool reduces = false;  // stride 2 without padding; otherwise the map keeps its size
  };

  void Add(const std::string& module, std::initializer_list<Branch> branches) {
    for (const Branch& b : branches) {
      const int64_t padding_height = b.reduces ? 0 : b.height / 2, padding_width = b.reduces ? 0 : b.width / 2;
      list_.push_back({module.empty() ? b.name : StrCat(module, ".", b.name), group_, b.out, b.in, b.height, b.width, b.reduces ? 2 : 1, padding_height, padding_width});
    }
  }
  void Begin(std::string group) { group_ = std::move(group); }
  InceptionConvolution& last() { return list_.back(); }
  std::vector<InceptionConvolution> Take() { return std::move(list_); }

 private:
  std::string group_;
  std::vector<InceptionConvolution> list_;
};

void AddStem(Builder& b) {
  b.Begin("stem");
  b.Add("", {{"Conv2d_1a_3x3", 32, 3, 3, 3, true}, {"Conv2d_2a_3x3", 32, 32, 3, 3}});
  b.last().padding_height = b.last().padding_width = 0;
  b.Add("", {{"Conv2d_2b_3x3", 64, 32, 3, 3}, {"Conv2d_3b_1x1", 80, 64}, {"Conv2d_4a_3x3", 192, 80, 3, 3}});
  b.last().padding_height = b.last().padding_width = 0;
}

void AddMixed5(Builder& b, const std::string& name, int64_t in, int64_t pool) {
  b.Add(name, {{"branch1x1", 64, in},
               {"branch5x5_1", 48, in},
               {"branch5x5_2", 64, 48, 5, 5},
               {"branch3x3dbl_1", 64, in},
               {"branch3x3dbl_2", 96, 64, 3, 3},
               {"branch3x3dbl_3", 96, 96, 3, 3},
               {"branch_pool", pool, in}});
}

void AddMixed6(Builder& b, const std::string& name, int64_t narrow) {
  b.Add(name, {{"branch1x1", 192, 768},
               {"branch7x7_1", narrow, 768},
               {"branch7x7_2", narrow, narrow, 1, 7},
               {"branch7x7_3", 192, narrow, 7, 1},
               {"branch7x7dbl_1", narrow, 768},
               {"branch7x7dbl_2", narrow, narrow, 7, 1},
               {"branch7x7dbl_3", narrow, narrow, 1, 7},
               {"branch7x7dbl_4", narrow, narrow, 7, 1},
               {"branch7x7dbl_5", 192, narrow, 1, 7},
               {"branch_pool", 192, 768}});
}

void AddMixed7(Builder& b, const std::string& name, int64_t in) {
  b.Add(name, {{"branch1x1", 320, in},
               {"branch3x3_1", 384, in},
               {"branch3x3_2a", 384, 384, 1, 3},
               {"branch3x3_2b", 384, 384, 3, 1},
               {"branch3x3dbl_1", 448, in},
               {"branch3x3dbl_2", 384, 448, 3, 3},
               {"branch3x3dbl_3a", 384, 384, 1, 3},
               {"branch3x3dbl_3b", 384, 384, 3, 1},
               {"branch_pool", 192, in}});
}

absl::StatusOr<ModelLayout> Describe(const nlohmann::json& config) {
  ATTUNE_ASSIGN_OR_RETURN(const InceptionV3Config parsed, ParseInceptionV3(config));
  return InceptionV3Layout(parsed);
}

ATTUNE_REGISTER_ARCHITECTURE(
    (Architecture{.name = "inception_v3", .modality = Modality::kImage, .head_name = "fc", .auxiliary_head_name = "AuxLogits.fc", .describe = Describe}));

}  // namespace

absl::StatusOr<InceptionV3Config> ParseInceptionV3(const nlohmann::json& config) {
  InceptionV3Config c;
  ATTUNE_ASSIGN_OR_RETURN(c.aux_logits, ConfigBool(config, "aux_logits", c.aux_logits));
  ATTUNE_ASSIGN_OR_RETURN(c.transform_input, ConfigBool(config, "transform_input", c.transform_input));
  ATTUNE_ASSIGN_OR_RETURN(c.pool_count_include_pad, ConfigBool(config, "pool_count_include_pad", c.pool_count_include_pad));
  ATTUNE_ASSIGN_OR_RETURN(c.batch_norm_eps, ConfigReal(config, "batch_norm_eps", c.batch_norm_eps, 1e-12, 1));
  ATTUNE_ASSIGN_OR_RETURN(c.dropout, ConfigReal(config, "dropout", c.dropout, 0, kMaxDropout));
  ATTUNE_ASSIGN_OR_RETURN(c.pooling, ReadPooling(config, TokenOutput::kPositionsAlone));
  ATTUNE_ASSIGN_OR_RETURN(c.image, ReadImageInput(config, {.image_size = 299, .resize_size = 342, .min_image_size = kMinImageSize}));
  if (c.aux_logits && c.image.image_size < kMinAuxImageSize) {
    return ConfigError("image_size", c.image.image_size,
                       StrCat("the auxiliary classifier needs at least ", kMinAuxImageSize, ": set aux_logits to false for smaller images, from ", kMinImageSize, " on"));
  }
  if (c.aux_logits) c.image.min_image_size = kMinAuxImageSize;
  return c;
}

std::vector<InceptionConvolution> InceptionConvolutions(bool aux_logits) {
  Builder b;
  AddStem(b);
  b.Begin("mixed5");
  AddMixed5(b, "Mixed_5b", 192, 32);
  AddMixed5(b, "Mixed_5c", 256, 64);
  AddMixed5(b, "Mixed_5d", 288, 64);
  b.Begin("mixed6");
  b.Add("Mixed_6a", {{"branch3x3", 384, 288, 3, 3, true}, {"branch3x3dbl_1", 64, 288}, {"branch3x3dbl_2", 96, 64, 3, 3}, {"branch3x3dbl_3", 96, 96, 3, 3, true}});
  AddMixed6(b, "Mixed_6b", 128);
  AddMixed6(b, "Mixed_6c", 160);
  AddMixed6(b, "Mixed_6d", 160);
  AddMixed6(b, "Mixed_6e", 192);
  if (aux_logits) {
    b.Begin("aux");
    b.Add("AuxLogits", {{"conv0", 128, 768}, {"conv1", 768, 128, 5, 5}});
    b.last().padding_height = b.last().padding_width = 0;
  }
  b.Begin("mixed7");
  b.Add("Mixed_7a", {{"branch3x3_1", 192, 768},
                     {"branch3x3_2", 320, 192, 3, 3, true},
                     {"branch7x7x3_1", 192, 768},
                     {"branch7x7x3_2", 192, 192, 1, 7},
                     {"branch7x7x3_3", 192, 192, 7, 1},
                     {"branch7x7x3_4", 192, 192, 3, 3, true}});
  AddMixed7(b, "Mixed_7b", 1280);
  AddMixed7(b, "Mixed_7c", 2048);
  return b.Take();
}

ModelLayout InceptionV3Layout(const InceptionV3Config& config) {
  LayoutBuilder builder;
  std::string group;
  for (const InceptionConvolution& c : InceptionConvolutions(config.aux_logits)) {
    if (c.group != group) builder.BeginGroup(group = c.group, /*optional=*/c.group == "aux");
    builder.Conv(c.name + ".conv", c.out, c.in, c.kernel_height, c.kernel_width, false);
    builder.BatchNorm(c.name + ".bn", c.out);
  }
  ModelLayout layout = builder.Take();
  layout.image = config.image;
  return layout;
}

}  // namespace attune::architectures
