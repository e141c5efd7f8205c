// Evaluations of checkpoints for people. Pure.
#pragma once

#include <string>

#include "attune/v1/prediction.pb.h"
#include "client/cli/render/style.h"

namespace attune::cli {

// Figures, classes with bars, the confusion matrix (of more than 10 classes: the commonest confusions), calibration, the surest mistakes, and suspects with where to find them.
std::string CheckpointEvaluationText(const v1::CheckpointEvaluation& evaluation, const Style& style);

}  // namespace attune::cli
