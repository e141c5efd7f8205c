// Evaluation figures, equal to scikit-learn's (zero_division=0). Pure and free of torch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace attune::training {

// Of one class: how often it was predicted rightly, predicted wrongly, and missed.
struct ClassCounts {
  int64_t true_positives = 0;
  int64_t false_positives = 0;
  int64_t false_negatives = 0;

  int64_t support() const { return true_positives + false_negatives; }
  bool seen() const { return true_positives + false_positives + false_negatives > 0; }
  double precision() const;
  double recall() const;
  double f1() const;
};

// Row-major, true x predicted, classes x classes. Values must be in [0, classes).
std::vector<int64_t> ConfusionMatrix(const std::vector<int64_t>& truth, const std::vector<int64_t>& predicted, int64_t classes);

std::vector<ClassCounts> CountsOfConfusion(const std::vector<int64_t>& confusion, int64_t classes);

// Multi-label: `truth` and `predicted` are row-major [rows, classes] of 0 and 1.
std::vector<ClassCounts> CountsOfMultiLabel(const std::vector<uint8_t>& truth, const std::vector<uint8_t>& predicted, int64_t classes);

// Share of right predictions.
double Accuracy(const std::vector<int64_t>& confusion, int64_t classes);
// Share of rows with exactly the right set of labels (scikit-learn's accuracy_score on indicator matrices).
double SubsetAccuracy(const std::vector<uint8_t>& truth, const std::vector<uint8_t>& predicted, int64_t classes);

// Share of rows whose class is among the `k` of the highest scores, [rows, classes] (scikit-learn's top_k_accuracy_score: of equal scores the later class comes first).
double TopKAccuracy(const std::vector<int64_t>& truth, std::span<const float> scores, int64_t classes, int64_t k);

// Mean of the classes' F1. With `only_seen`, classes that are neither in the truth nor predicted do not count, as in f1_score(average="macro") on class indices.
double MacroF1(const std::vector<ClassCounts>& counts, bool only_seen);
double MicroF1(const std::vector<ClassCounts>& counts);

double MeanSquaredError(const std::vector<double>& truth, const std::vector<double>& predicted);
double MeanAbsoluteError(const std::vector<double>& truth, const std::vector<double>& predicted);
// Empty where it is undefined: fewer than two rows, or either side constant.
std::optional<double> PearsonCorrelation(const std::vector<double>& truth, const std::vector<double>& predicted);

}  // namespace attune::training
