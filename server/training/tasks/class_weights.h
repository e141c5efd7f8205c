// Class weights from how often classes occur in the training rows. Pure, free of torch.
//
//   std::vector<double> weights = BalancedWeights({50, 150}, /*rows=*/200, /*multi_label=*/false);   // 2, 0.667
#pragma once

#include <cstdint>
#include <vector>

namespace attune::training {

// For each class, from the number of rows that have it. Single label: rows / (classes * count), as scikit-learn's "balanced" (classes: those that have rows). Multi-label,
// for BCEWithLogitsLoss's pos_weight: (rows - count) / count, and 1 for a class that every row has, as there is nothing to weigh it against. A class without rows: 0.
std::vector<double> BalancedWeights(const std::vector<int64_t>& counts, int64_t rows, bool multi_label);

}  // namespace attune::training
