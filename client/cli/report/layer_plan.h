// What learnt where: for each layer group and phase whether it was trained, frozen or trained in part, and at which
// rate. The same rule as the worker's (server/training/steps/plan/trainable_set), on messages. Pure.
//
//   const LayerPlan plan = MakeLayerPlan(job.effective_spec(), model, layers, head_parameters);
//   plan.groups[2].phases[0].state == LearnState::kFrozen
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attune/v1/model.pb.h"
#include "attune/v1/training_spec.pb.h"

namespace attune::cli {

enum class LearnState { kFrozen, kTrained, kPartly };

struct GroupInPhase {
  LearnState state = LearnState::kFrozen;
  int64_t trained_parameters = 0;
  double learning_rate = 0;  // peak; 0 where nothing learns
};

struct LayerGroupPlan {
  std::string name;
  int64_t parameters = 0;
  std::vector<GroupInPhase> phases;  // one for each of the spec's
};

struct LayerPlan {
  std::vector<LayerGroupPlan> groups;  // from input to output; the new head is the last
  std::vector<bool> only_head;         // for each phase: nothing but the head learns
};

// Patterns of all phases, once each: what to ask DescribeLayers with, so that the server's matching is used (it knows
// the prefix that patterns may have).
std::vector<std::string> PatternsOf(const v1::FineTuningSpec& spec);

// `spec` is the effective one. `layers` may lack matches for some patterns; those are matched by the names in it.
// `head_parameters`: 0 when not known; the head's counts are then 0 too.
LayerPlan MakeLayerPlan(const v1::FineTuningSpec& spec, const v1::Model& model,
                        const v1::DescribeLayersResponse& layers, int64_t head_parameters);

}  // namespace attune::cli
