// What server and worker know of an architecture without torch: which config.json it accepts, and which parameters and buffers that config describes. The one source
// for names, shapes and layer groups: the catalogue checks uploads against it, and server/training/models makes its tensors from it. One file per family registers
// its architectures (ATTUNE_REGISTER_ARCHITECTURE at file scope); nothing else names them. Registration happens before main; everything else is const and thread-safe.
//
//   const Architecture* resnet = ArchitectureRegistry::Get().Find("resnet50");
//   ATTUNE_ASSIGN_OR_RETURN(ModelLayout layout, resnet->describe(config));
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"

namespace attune::architectures {

enum class Modality { kText, kImage };
const char* ModalityName(Modality modality);  // "text", "image"

// What a parameter is for: decides how it is initialised when no checkpoint gives it, and whether weight decay applies (to weights and tables alone).
enum class Role {
  kLinearWeight,     // [out, in]
  kConvWeight,       // [out, in / groups, height, width]
  kTable,            // embeddings [rows, width], class and position tokens
  kBias,
  kNormWeight,       // of BatchNorm and LayerNorm; 1
  kLayerScale,       // DINOv2's; the config's layerscale_value
};

struct ParameterShape {
  std::string name;  // as in torchvision or transformers, without the architecture's prefix
  std::vector<int64_t> shape;
  std::string group;
  bool optional = false;  // a checkpoint may lack it, together with its whole group: it is newly initialised then
  Role role = Role::kLinearWeight;
  int64_t value_count() const;
};

// State that is no parameter: BatchNorm's running_mean [C], running_var [C] and num_batches_tracked (a scalar I64, which a checkpoint may lack).
struct BufferShape {
  enum class Kind { kRunningMean, kRunningVariance, kBatchesTracked };
  std::string name;
  std::vector<int64_t> shape;
  std::string group;
  Kind kind = Kind::kRunningMean;
};

// What an image model expects of its input, from config.json (defaults: those of the reference weights).
struct ImageInput {
  int image_size = 224;   // side of the square that goes in
  int resize_size = 256;  // the shorter side before the central crop, as in torchvision's presets; equal to image_size: nothing is cropped
  int min_image_size = 32;
  int size_step = 1;      // a job's image_size must be a multiple of it: the patches of models with learnt positions
  bool bicubic = false;   // otherwise bilinear; both with antialias
  std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};  // of RGB in 0..1
  std::array<float, 3> standard_deviation = {0.229f, 0.224f, 0.225f};
};

// What one config.json describes.
struct ModelLayout {
  std::vector<ParameterShape> parameters;  // in model order; the head is left out
  std::vector<BufferShape> buffers;        // in model order
  std::vector<std::string> groups;         // from input to output, in freezing order
  // Text.
  int64_t max_length = 0;                  // positions
  int64_t vocabulary_size = 0;             // rows of the word embedding
  int64_t type_count = 0;                  // segments
  // Image.
  ImageInput image;
};

struct Architecture {
  std::string name;    // config.json's model_type: transformers' ("bert", "vit", "dinov2"), or torchvision's builder ("resnet50")
  Modality modality = Modality::kText;
  std::string prefix;  // what heads put before the encoder's names ("bert."); checkpoints may have it or not; empty for torchvision's
  // The head's last layer in a whole checkpoint, without ".weight" ("classifier", "fc", "classifier.6"): never part of the layout.
  std::string head_name;
  // The auxiliary classifier's last layer ("AuxLogits.fc"); empty where there is none.
  std::string auxiliary_head_name;
  // INVALID_ARGUMENT naming the key, its value and what is allowed. Bounds every size before anything is allocated.
  std::function<absl::StatusOr<ModelLayout>(const nlohmann::json& config)> describe;
  // The present name of a tensor that older versions called otherwise (gamma and beta of norms). Absent: names never changed.
  std::function<std::string(std::string_view name)> modern_name;
  // Tensors that are no parameters and mean nothing (position_ids); `name` is modern and without prefix. Absent: none.
  std::function<bool(std::string_view name)> is_buffer;
};

// `name` (a tensor of a checkpoint) as ParameterShape::name has it.
std::string CanonicalName(const Architecture& architecture, std::string_view name);

class ArchitectureRegistry {
 public:
  static ArchitectureRegistry& Get();
  bool Register(Architecture architecture);               // always true
  bool Register(std::vector<Architecture> family);        // always true
  const Architecture* Find(std::string_view name) const;  // null when unknown
  std::vector<std::string> Names() const;                 // sorted

 private:
  std::vector<Architecture> architectures_;
};

#define ATTUNE_REGISTER_ARCHITECTURE(architecture)                     \
  [[maybe_unused]] static const bool attune_architecture_registered_ = \
      ::attune::architectures::ArchitectureRegistry::Get().Register(architecture)

}  // namespace attune::architectures
