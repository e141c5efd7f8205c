// Evaluation of any checkpoint on any dataset with the same classes, and a search for wrong labels in the dataset's training split by confident learning (Northcutt et al. 2021:
// rows whose label has a lower probability than another class, by the margin between both). The training thread alone. Throws std::invalid_argument for a dataset that is not for this
// checkpoint, and what LoadCheckpoint and the batches throw.
//
//   std::optional<EvaluationOutput> output = EvaluateCheckpoint({.checkpoint_dir = a, .dataset_dir = b}, {.progress = show, .stop_requested = [] { return false; }});
#pragma once

#include <optional>

#include "server/training/recipes/evaluation.h"

namespace attune::training {

// fp32 on the CPU. Empty when it was to stop. Memory: the model, logits of the split's rows, and the batches ahead.
std::optional<EvaluationOutput> EvaluateCheckpoint(const EvaluationRequest& request, const EvaluationControl& control);

}  // namespace attune::training
