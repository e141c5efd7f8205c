#include "server/training/steps/plan/trainable_set.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string_view>

#include "absl/strings/match.h"
#include "server/base/glob.h"
#include "server/base/nearest.h"
#include "server/base/str_cat.h"

namespace attune::training {
namespace {

std::string_view WithoutPrefix(const NamedGroup& parameter, const ModelShape& shape) {
  std::string_view name = parameter.name;
  if (absl::StartsWith(parameter.name, shape.prefix)) name.remove_prefix(shape.prefix.size());
  return name;
}

[[noreturn]] void ThrowNoMatch(const std::string& field, const std::string& pattern, const std::vector<NamedGroup>& parameters,
                               const ModelShape& shape) {
  std::vector<std::string> names;
  for (const NamedGroup& parameter : parameters) names.emplace_back(WithoutPrefix(parameter, shape));
  const std::string nearest = Nearest(pattern, names);
  throw std::invalid_argument(StrCat(field, " \"", pattern, "\" matches no parameter",
                                     nearest.empty() ? std::string(".") : StrCat("; did you mean \"", nearest, "\"?"), " Patterns match whole names: * any characters, ? one, [0-3] a range; ",
                                     "DescribeLayers lists the names"));
}

// Sets `learns` to `value` for the parameters that `pattern` matches.
void Apply(const std::string& field, const std::string& pattern, bool value, const std::vector<NamedGroup>& parameters, const ModelShape& shape,
           std::vector<bool>* learns) {
  const absl::Status valid = CheckGlob(pattern);
  if (!valid.ok()) throw std::invalid_argument(StrCat(field, ": ", std::string(valid.message())));
  bool matched = false;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!GlobMatches(pattern, parameters[i].name) && !GlobMatches(pattern, WithoutPrefix(parameters[i], shape))) continue;
    matched = true;
    (*learns)[i] = value;
  }
  if (!matched) ThrowNoMatch(field, pattern, parameters, shape);
}

int LowestGroup(const ModelShape& shape, const TrainableSpec& spec) {
  switch (spec.base) {
    case TrainableSpec::Base::kAll:
      return 0;
    case TrainableSpec::Base::kLastNGroups:
      if (spec.last_n_groups < 1 || spec.last_n_groups > shape.groups) {
        throw std::invalid_argument(
            StrCat("last_n_groups must be 1 to ", shape.groups, " (the model's layer groups), not ", spec.last_n_groups));
      }
      return shape.groups - spec.last_n_groups;
    case TrainableSpec::Base::kHeadOnly:
    case TrainableSpec::Base::kPatterns:
      break;
  }
  return shape.groups;
}

}  // namespace

std::vector<bool> TrainableSet(const std::vector<NamedGroup>& parameters, const ModelShape& shape, const TrainableSpec& spec) {
  const int lowest = LowestGroup(shape, spec);
  std::vector<bool> learns(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) learns[i] = parameters[i].group >= lowest;
  if (spec.base == TrainableSpec::Base::kPatterns) {
    for (const std::string& pattern : spec.patterns) Apply("trainable.patterns", pattern, true, parameters, shape, &learns);
  }
  for (const std::string& pattern : spec.freeze) Apply("trainable.freeze", pattern, false, parameters, shape, &learns);
  if (std::none_of(learns.begin(), learns.end(), [](bool value) { return value; })) {
    throw std::invalid_argument("trainable leaves nothing to learn: every parameter is frozen; take out a freeze pattern");
  }
  return learns;
}

std::vector<double> LayerRates(const std::vector<int>& groups, double layer_decay) {
  const int top = groups.empty() ? 0 : *std::max_element(groups.begin(), groups.end());
  std::vector<double> rates;
  rates.reserve(groups.size());
  for (int group : groups) rates.push_back(std::pow(layer_decay, top - group));
  return rates;
}

std::vector<double> GroupRates(const std::vector<int>& groups, const std::vector<std::string>& names, const std::map<std::string, double>& rates) {
  std::vector<std::string> all = names;
  all.emplace_back("head");
  std::vector<double> of_group(all.size(), 1);
  for (const auto& [name, rate] : rates) {
    const auto found = std::find(all.begin(), all.end(), name);
    if (found == all.end()) {
      const std::string nearest = Nearest(name, all);
      throw std::invalid_argument(StrCat("group_rates: \"", name, "\" is no layer group", nearest.empty() ? "" : StrCat("; did you mean \"", nearest, "\"?"),
                                         " DescribeLayers lists the groups"));
    }
    if (!(rate > 0)) throw std::invalid_argument(StrCat("group_rates: the rate of \"", name, "\" must be over 0, not ", rate, "; to hold it still, use trainable.freeze"));
    of_group[static_cast<size_t>(found - all.begin())] = rate;
  }
  std::vector<double> out;
  out.reserve(groups.size());
  for (const int group : groups) out.push_back(of_group.at(static_cast<size_t>(group)));
  return out;
}

}  // namespace attune::training
