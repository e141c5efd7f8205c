// How good the model is: figures of each class, the confusion matrix as a heat map, and whether its confidence can be
// believed. Pure.
#pragma once

#include "client/cli/report/markup/html.h"
#include "client/cli/report/report_data.h"

namespace attune::cli {

// Precision, recall, F1 and rows of each class with bars; of many classes the worst. Empty without classes.
Html ClassSection(const v1::Evaluation& evaluation);

// Counts by true and predicted class, coloured by their share of the row. Of many classes those that are confused most.
// Empty unless it is a matrix over the classes.
Html ConfusionSection(const v1::Evaluation& evaluation);

// The reliability diagram. Empty without bins.
Html CalibrationSection(const v1::CheckpointEvaluation& evaluation);

}  // namespace attune::cli
