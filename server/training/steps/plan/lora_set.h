// Which weights get low-rank adapters: those that the spec's patterns match, or the architecture's usual ones. Pure. Throws std::invalid_argument with text that names the
// pattern and what to do.
//
//   std::vector<bool> targets = LoraSet(names_and_shapes, "bert.", spec.lora.target_modules);
#pragma once

#include <string>
#include <vector>

#include "server/architectures/lora_targets.h"

namespace attune::training {

// For each parameter of the base model whether it is a target. Patterns match full names and names without `prefix`; of what they match, weights of linear layers and
// convolutions are targets. A pattern that matches none of those is an error, and so is a model without a usual target where there are no patterns.
std::vector<bool> LoraSet(const std::vector<architectures::NamedShape>& parameters, const std::string& prefix, const std::vector<std::string>& patterns);

}  // namespace attune::training
