// What the server knows of an architecture without torch: which config.json it accepts, and which parameters that
// config describes. One file per architecture registers itself (ATTUNE_REGISTER_ARCHITECTURE at file scope); nothing
// else names it. The training side has its own counterpart (server/training/models); names, shapes and groups must
// agree. Registration happens before main; everything else is const and thread-safe.
//
//   const Architecture* bert = ArchitectureRegistry::Get().Find("bert");
//   ATTUNE_ASSIGN_OR_RETURN(ModelLayout layout, bert->describe(config));
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace attune::catalogue {

struct ParameterShape {
  std::string name;  // as in transformers, without the architecture's prefix
  std::vector<int64_t> shape;
  std::string group;
  bool optional = false;  // a checkpoint may lack it: it is newly initialised then
  int64_t value_count() const;
};

// What one config.json describes.
struct ModelLayout {
  std::vector<ParameterShape> parameters;  // in model order; the head is left out
  std::vector<std::string> groups;         // from input to output, in freezing order
  int64_t max_length = 0;                  // positions
  int64_t vocabulary_size = 0;             // rows of the word embedding
  int64_t type_count = 0;                  // segments
};

struct Architecture {
  std::string name;    // transformers' model_type
  std::string prefix;  // what heads put before the encoder's names ("bert."); checkpoints may have it or not
  // INVALID_ARGUMENT naming the key, its value and what is allowed. Bounds every size before anything is allocated.
  std::function<absl::StatusOr<ModelLayout>(const nlohmann::json& config)> describe;
  // The present name of a tensor that older versions called otherwise (gamma and beta of norms).
  std::function<std::string(std::string_view name)> modern_name;
  // Tensors that are no parameters and mean nothing (position_ids); `name` is modern and without prefix.
  std::function<bool(std::string_view name)> is_buffer;
};

// `name` (a tensor of a checkpoint) as ParameterShape::name has it.
std::string CanonicalName(const Architecture& architecture, std::string_view name);

class ArchitectureRegistry {
 public:
  static ArchitectureRegistry& Get();
  bool Register(Architecture architecture);               // always true
  const Architecture* Find(std::string_view name) const;  // null when unknown
  std::vector<std::string> Names() const;                 // sorted

 private:
  std::vector<Architecture> architectures_;
};

#define ATTUNE_REGISTER_ARCHITECTURE(architecture)                     \
  [[maybe_unused]] static const bool attune_architecture_registered_ = \
      ::attune::catalogue::ArchitectureRegistry::Get().Register(architecture)

}  // namespace attune::catalogue
