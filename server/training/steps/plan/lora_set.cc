#include "server/training/steps/plan/lora_set.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include "server/base/glob.h"
#include "server/base/str_cat.h"

namespace attune::training {

std::vector<bool> LoraSet(const std::vector<architectures::NamedShape>& parameters, const std::string& prefix, const std::vector<std::string>& patterns) {
  if (patterns.empty()) {
    std::vector<bool> targets = architectures::DefaultLoraTargets(parameters);
    if (std::find(targets.begin(), targets.end(), true) == targets.end()) {
      throw std::invalid_argument("lora.target_modules: the model has neither attention nor 1 x 1 convolutions; name the weights that get adapters");
    }
    return targets;
  }
  std::vector<bool> targets(parameters.size());
  for (const std::string& pattern : patterns) {
    if (const absl::Status valid = CheckGlob(pattern); !valid.ok()) throw std::invalid_argument(StrCat("lora.target_modules: ", std::string(valid.message())));
    bool matched = false;
    for (size_t i = 0; i < parameters.size(); ++i) {
      const std::string_view name = parameters[i].name;
      const std::string_view shorter = name.starts_with(prefix) ? name.substr(prefix.size()) : name;
      if (!architectures::TakesLora(name, parameters[i].shape)) continue;
      if (!GlobMatches(pattern, name) && !GlobMatches(pattern, shorter)) continue;
      matched = targets[i] = true;
    }
    if (!matched) {
      throw std::invalid_argument(StrCat("lora.target_modules \"", pattern, "\" matches no weight of a linear layer or a convolution; DescribeLayers lists the names"));
    }
  }
  return targets;
}

}  // namespace attune::training
