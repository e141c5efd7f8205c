// What the report says learns in a phase, and how fast, is what the worker does: drawn rules over a model of a few
// groups.
#include <gtest/gtest.h>

#include <random>

#include "client/cli/report/layer_plan.h"
#include "server/base/str_cat.h"
#include "server/training/steps/plan/trainable_set.h"

namespace attune::cli {
namespace {

using training::NamedGroup;
using training::TrainableSpec;

constexpr int kGroups = 4;
const std::vector<std::string> kPatterns = {
    "*.bias", "group.[0-2].*", "group.3.weight", "bert.group.1.*", "classifier.*",  "classifier.1.bias",
    "*",      "group.0.bias",  "bert.*.weight",  "*.4.*",          "group.?.weight"};

struct Drawn {
  v1::FineTuningSpec spec;
  TrainableSpec rule;
};

Drawn Draw(std::mt19937& random) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  Drawn drawn;
  for (int i = below(3); i > 0; --i) drawn.spec.mutable_head()->add_hidden_sizes(8);
  v1::Phase& phase = *drawn.spec.add_phases();
  phase.set_learning_rate(1);
  phase.set_layer_decay(below(2) == 0 ? 1 : 0.5);
  v1::Trainable& trainable = *phase.mutable_trainable();
  switch (below(4)) {
    case 0:
      trainable.set_all(true);
      drawn.rule.base = TrainableSpec::Base::kAll;
      break;
    case 1:
      trainable.set_head_only(true);
      drawn.rule.base = TrainableSpec::Base::kHeadOnly;
      break;
    case 2:
      drawn.rule.base = TrainableSpec::Base::kLastNGroups;
      drawn.rule.last_n_groups = 1 + below(kGroups);
      trainable.set_last_n_groups(drawn.rule.last_n_groups);
      break;
    default:
      drawn.rule.base = TrainableSpec::Base::kPatterns;
      for (int i = 1 + below(3); i > 0; --i) drawn.rule.patterns.push_back(kPatterns[random() % kPatterns.size()]);
      for (const std::string& pattern : drawn.rule.patterns) trainable.mutable_patterns()->add_patterns(pattern);
  }
  for (int i = below(3); i > 0; --i) drawn.rule.freeze.push_back(kPatterns[random() % kPatterns.size()]);
  for (const std::string& pattern : drawn.rule.freeze) trainable.add_freeze(pattern);
  return drawn;
}

// The parameters as the worker has them; the base model's with the prefix.
std::vector<NamedGroup> Parameters(const v1::FineTuningSpec& spec) {
  std::vector<NamedGroup> parameters;
  for (int group = 0; group < kGroups; ++group) {
    for (const char* kind : {"weight", "bias"}) parameters.push_back({StrCat("bert.group.", group, ".", kind), group});
  }
  const int hidden = spec.head().hidden_sizes_size();
  for (int i = 0; i <= hidden; ++i) {
    for (const char* kind : {"weight", "bias"})
      parameters.push_back(
          {hidden == 0 ? StrCat("classifier.", kind) : StrCat("classifier.", 3 * i + 1, ".", kind), kGroups});
  }
  return parameters;
}

v1::DescribeLayersResponse Layers(const std::vector<NamedGroup>& parameters, const v1::FineTuningSpec& spec) {
  v1::DescribeLayersResponse layers;
  for (const NamedGroup& parameter : parameters) {
    if (parameter.group == kGroups) continue;
    v1::Layer& layer = *layers.add_layers();
    layer.set_name(parameter.name.substr(5));
    layer.set_group(StrCat("group.", parameter.group));
    layer.set_parameter_count(1);
  }
  // As the server matches: the catalogue knows the prefix.
  for (const std::string& pattern : PatternsOf(spec)) {
    v1::PatternMatch& match = *layers.add_matches();
    match.set_pattern(pattern);
    for (const NamedGroup& parameter : parameters) {
      TrainableSpec one{
          .base = TrainableSpec::Base::kPatterns, .last_n_groups = 0, .patterns = {pattern}, .freeze = {}};
      try {
        if (parameter.group < kGroups &&
            training::TrainableSet({parameter}, {.prefix = "bert.", .groups = kGroups}, one)[0])
          match.add_names(parameter.name.substr(5));
      } catch (const std::invalid_argument&) {  // matches nothing
      }
    }
  }
  return layers;
}

TEST(LayerPlanParityTest, DrawnRulesGiveWhatTheWorkerDoes) {
  v1::Model model;
  model.set_head_name("classifier");
  for (int group = 0; group < kGroups; ++group) model.add_layer_groups(StrCat("group.", group));
  std::mt19937 random(7);
  int compared = 0;
  for (int round = 0; round < 3000; ++round) {
    const Drawn drawn = Draw(random);
    const std::vector<NamedGroup> parameters = Parameters(drawn.spec);
    std::vector<bool> learns;
    try {
      learns = training::TrainableSet(parameters, {.prefix = "bert.", .groups = kGroups}, drawn.rule);
    } catch (const std::invalid_argument&) {  // such a job does not come to be
      continue;
    }
    ++compared;
    std::vector<int> trained(kGroups + 1), all(kGroups + 1), groups;
    for (size_t i = 0; i < parameters.size(); ++i) {
      ++all[static_cast<size_t>(parameters[i].group)];
      if (!learns[i]) continue;
      ++trained[static_cast<size_t>(parameters[i].group)];
      groups.push_back(parameters[i].group);
    }
    const std::vector<double> rates = training::LayerRates(groups, drawn.spec.phases(0).layer_decay());
    const LayerPlan plan = MakeLayerPlan(drawn.spec, model, Layers(parameters, drawn.spec), 4);
    ASSERT_EQ(plan.groups.size(), kGroups + 1u);
    for (size_t group = 0; group <= kGroups; ++group) {
      const GroupInPhase& in_phase = plan.groups[group].phases.at(0);
      const LearnState expected = trained[group] == 0            ? LearnState::kFrozen
                                  : trained[group] == all[group] ? LearnState::kTrained
                                                                 : LearnState::kPartly;
      ASSERT_EQ(in_phase.state, expected) << drawn.spec.ShortDebugString() << " group " << group;
      if (group < kGroups) {
        ASSERT_EQ(in_phase.trained_parameters, trained[group]);
      }
      for (size_t i = 0; i < groups.size(); ++i) {
        if (groups[i] == static_cast<int>(group)) {
          ASSERT_DOUBLE_EQ(in_phase.learning_rate, rates[i]) << drawn.spec.ShortDebugString();
        }
      }
    }
  }
  EXPECT_GT(compared, 500);
}

}  // namespace
}  // namespace attune::cli
