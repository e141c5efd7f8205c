#include "client/cli/report/layer_plan.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "server/base/glob.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

struct Parameter {
  std::string name;
  size_t group = 0;
  int64_t values = 0;
};

// Names of the new head's parameters, as the worker builds it: a single layer as the model's library names it; with
// hidden layers, those of a Sequential of dropout, linear, activation.
std::vector<std::string> HeadNames(const v1::FineTuningSpec& spec, const v1::Model& model) {
  const std::string head = model.head_name().empty() ? "classifier" : model.head_name();
  const int hidden = spec.head().hidden_sizes_size();
  std::vector<std::string> names;
  for (int i = 0; i <= hidden; ++i) {
    const std::string layer = hidden == 0 ? head : StrCat(head, ".", 3 * i + 1);
    names.push_back(layer + ".weight");
    names.push_back(layer + ".bias");
  }
  return names;
}

// Groups below the head that the job has (another pooling leaves some out), from input to output; as the model says where its layers are not known.
std::vector<std::string> GroupNames(const v1::Model& model, const v1::DescribeLayersResponse& layers) {
  if (layers.layers().empty()) return {model.layer_groups().begin(), model.layer_groups().end()};
  std::vector<std::string> names;
  for (const v1::Layer& layer : layers.layers()) {
    if (std::find(names.begin(), names.end(), layer.group()) == names.end()) names.push_back(layer.group());
  }
  return names;
}

class Matcher {
 public:
  explicit Matcher(const v1::DescribeLayersResponse& layers) {
    for (const v1::PatternMatch& match : layers.matches())
      known_[match.pattern()] = {match.names().begin(), match.names().end()};
  }
  bool Matches(const std::string& pattern, const std::string& name) const {
    if (GlobMatches(pattern, name)) return true;
    auto found = known_.find(pattern);
    return found != known_.end() && found->second.count(name) > 0;
  }

 private:
  std::map<std::string, std::set<std::string>> known_;
};

// The lowest group that learns by the rule's base; the head is group `groups`.
size_t LowestGroup(const v1::Trainable& trainable, size_t groups) {
  switch (trainable.base_case()) {
    case v1::Trainable::kAll:
    case v1::Trainable::BASE_NOT_SET:
      return 0;
    case v1::Trainable::kLastNGroups:
      return groups - std::min(groups, static_cast<size_t>(std::max(0, trainable.last_n_groups())));
    default:
      return groups;
  }
}

std::vector<bool> Learns(const v1::Trainable& trainable, const std::vector<Parameter>& parameters, size_t groups,
                         const Matcher& matcher) {
  const size_t lowest = LowestGroup(trainable, groups);
  std::vector<bool> learns;
  for (const Parameter& parameter : parameters) {
    const auto matches = [&](const std::string& pattern) { return matcher.Matches(pattern, parameter.name); };
    bool value = parameter.group >= lowest;
    if (trainable.has_patterns()) {
      const auto& patterns = trainable.patterns().patterns();
      value = value || std::any_of(patterns.begin(), patterns.end(), matches);
    }
    learns.push_back(value && std::none_of(trainable.freeze().begin(), trainable.freeze().end(), matches));
  }
  return learns;
}

double Rate(const v1::FineTuningSpec& spec, const v1::Phase& phase) {
  const v1::Hyperparameters& h = spec.hyperparameters();
  return (phase.has_learning_rate() ? phase.learning_rate() : h.learning_rate()) *
         (h.has_learning_rate_multiplier() ? h.learning_rate_multiplier() : 1);
}

// Adds the phase's column to each group.
void AddPhase(const v1::FineTuningSpec& spec, const v1::Phase& phase, const std::vector<Parameter>& parameters,
              const Matcher& matcher, LayerPlan* plan) {
  const size_t head = plan->groups.size() - 1;
  const std::vector<bool> learns = Learns(phase.trainable(), parameters, head, matcher);
  std::vector<int> trained(plan->groups.size()), all(plan->groups.size());
  std::vector<int64_t> values(plan->groups.size());
  size_t top = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    ++all[parameters[i].group];
    if (!learns[i]) continue;
    ++trained[parameters[i].group];
    values[parameters[i].group] += parameters[i].values;
    top = std::max(top, parameters[i].group);
  }
  bool only_head = trained[head] > 0;
  for (size_t group = 0; group < plan->groups.size(); ++group) {
    GroupInPhase in_phase;
    if (trained[group] > 0) {
      in_phase.state = trained[group] == all[group] ? LearnState::kTrained : LearnState::kPartly;
      in_phase.trained_parameters = values[group];
      in_phase.learning_rate = Rate(spec, phase) * std::pow(phase.has_layer_decay() ? phase.layer_decay() : 1,
                                                            static_cast<double>(top - group));
      only_head = only_head && group == head;
    }
    plan->groups[group].phases.push_back(in_phase);
  }
  plan->only_head.push_back(only_head);
}

}  // namespace

std::vector<std::string> PatternsOf(const v1::FineTuningSpec& spec) {
  std::vector<std::string> patterns;
  const auto add = [&](const auto& more) {
    for (const std::string& pattern : more) {
      if (std::find(patterns.begin(), patterns.end(), pattern) == patterns.end()) patterns.push_back(pattern);
    }
  };
  for (const v1::Phase& phase : spec.phases()) {
    add(phase.trainable().patterns().patterns());
    add(phase.trainable().freeze());
  }
  return patterns;
}

LayerPlan MakeLayerPlan(const v1::FineTuningSpec& spec, const v1::Model& model,
                        const v1::DescribeLayersResponse& layers, int64_t head_parameters) {
  LayerPlan plan;
  std::map<std::string, size_t> index;
  for (const std::string& name : GroupNames(model, layers)) {
    index.emplace(name, plan.groups.size());
    plan.groups.push_back({.name = name, .parameters = 0, .phases = {}});
  }
  const size_t head = plan.groups.size();
  std::vector<Parameter> parameters;
  for (const v1::Layer& layer : layers.layers()) {
    parameters.push_back({layer.name(), index[layer.group()], layer.parameter_count()});
    plan.groups[index[layer.group()]].parameters += layer.parameter_count();
  }
  plan.groups.push_back({.name = "head (new)", .parameters = head_parameters, .phases = {}});
  const Matcher matcher(layers);
  for (const std::string& name : HeadNames(spec, model)) parameters.push_back({name, head, 0});
  for (const v1::Phase& phase : spec.phases()) {
    AddPhase(spec, phase, parameters, matcher, &plan);
    // How the head's values lie in its layers is not known: all of them or none.
    GroupInPhase& in_phase = plan.groups[head].phases.back();
    if (in_phase.state == LearnState::kTrained) in_phase.trained_parameters = head_parameters;
  }
  return plan;
}

}  // namespace attune::cli
