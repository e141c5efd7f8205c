#include "server/architectures/lora_targets.h"

#include <algorithm>

namespace attune::architectures {
namespace {

bool IsQueryOrValue(const NamedShape& parameter) {
  return parameter.shape.size() == 2 && (parameter.name.ends_with(".query.weight") || parameter.name.ends_with(".value.weight"));
}

bool IsPointwiseConvolution(const NamedShape& parameter) {
  return parameter.shape.size() == 4 && parameter.shape[2] == 1 && parameter.shape[3] == 1 && parameter.name.ends_with(".weight");
}

}  // namespace

bool TakesLora(std::string_view name, const std::vector<int64_t>& shape) {
  if (!name.ends_with(".weight")) return false;
  return shape.size() == 4 || (shape.size() == 2 && !name.ends_with("_embeddings.weight"));
}

std::vector<bool> DefaultLoraTargets(const std::vector<NamedShape>& parameters) {
  std::vector<bool> targets;
  for (const auto is_target : {IsQueryOrValue, IsPointwiseConvolution}) {
    targets.clear();
    for (const NamedShape& parameter : parameters) targets.push_back(is_target(parameter));
    if (std::find(targets.begin(), targets.end(), true) != targets.end()) break;
  }
  return targets;
}

}  // namespace attune::architectures
