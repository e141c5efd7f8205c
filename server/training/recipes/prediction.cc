#include "server/training/recipes/prediction.h"

#include <algorithm>

namespace attune::training {

PredictionOutput MakePrediction(const std::vector<std::string>& labels, bool multi_label, const std::vector<double>& probabilities,
                                const std::vector<float>& logits) {
  constexpr double kThreshold = 0.5;
  PredictionOutput output;
  output.logits = logits;
  if (labels.empty()) {
    output.value = probabilities.at(0);
    return output;
  }
  for (size_t i = 0; i < labels.size(); ++i) output.scores.emplace_back(labels[i], probabilities.at(i));
  std::stable_sort(output.scores.begin(), output.scores.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  for (const auto& [label, score] : output.scores) {
    if (multi_label ? score >= kThreshold : output.labels.empty()) output.labels.push_back(label);
  }
  return output;
}

}  // namespace attune::training
