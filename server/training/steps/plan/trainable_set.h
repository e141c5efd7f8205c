// Which parameters learn in a phase, and how fast each layer group does. Pure. Throws std::invalid_argument with text that names the pattern and the nearest name.
//
//   std::vector<bool> learns = TrainableSet(names, {.prefix = "bert.", .groups = 8}, phase.trainable);
//   std::vector<double> scale = LayerRates(groups_of_those, phase.layer_decay);
#pragma once

#include <map>
#include <string>
#include <vector>

#include "server/training/recipes/fine_tune_spec.h"

namespace attune::training {

struct NamedGroup {
  std::string name;  // full
  int group = 0;     // from input to output; the head's is the number of groups
};

struct ModelShape {
  std::string prefix;  // "bert.": patterns match full names, and names without it
  int groups = 0;      // layer groups of the base model
};

// For each parameter whether it learns. The head does unless a freeze pattern names it. A pattern that matches no parameter is an error, and so is a set in which nothing
// is left.
std::vector<bool> TrainableSet(const std::vector<NamedGroup>& parameters, const ModelShape& shape, const TrainableSpec& spec);

// For each parameter that learns, what the phase's rate is multiplied by: decay ^ (top - group), where top is the topmost group among them.
std::vector<double> LayerRates(const std::vector<int>& groups, double layer_decay);

// The same where groups have rates of their own, by name: 1 for a group that is not named. `names`: the model's groups; the head is "head". Throws std::invalid_argument
// for a rate that no group has, naming the nearest group, and for one that is not over 0.
std::vector<double> GroupRates(const std::vector<int>& groups, const std::vector<std::string>& names, const std::map<std::string, double>& rates);

}  // namespace attune::training
