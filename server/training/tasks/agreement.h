// Agreement: what a model says of the label that a row has, and the rows where both disagree most: mistakes of the model, or of whoever labelled. Pure and free of torch.
//
//   const Agreement agreement = AgreeOnClass(logits_of_row, label);
//   if (agreement.contradicts) ranking.Add(agreement.margin, row, agreement);
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace attune::training {

struct Agreement {
  std::vector<int32_t> predicted;    // classes; empty for regression
  double label_probability = 0;      // that the model gives to the label. Multi-label: to what the row says of the class that they disagree about most
  double predicted_probability = 0;  // of the prediction. Multi-label: of the contrary of what the row says of that class
  double margin = 0;                 // normalised margin (Northcutt et al. 2021): label_probability less that of the most probable other class. Regression: less the error
  double predicted_value = 0;        // regression
  double loss = 0;                   // cross-entropy, mean binary cross-entropy over the classes, or squared error
  bool contradicts = false;          // the prediction is not the label
};

// `logits` are those of one row, in label order.
Agreement AgreeOnClass(std::span<const float> logits, int32_t label);
// `labels` are sorted.
Agreement AgreeOnClasses(std::span<const float> logits, const std::vector<int32_t>& labels);
// Every row contradicts, unless it is met exactly: what counts is by how much.
Agreement AgreeOnValue(float predicted, double value);

// Keeps the `most` rows of the smallest key; of equal keys the first rows. Memory for those alone.
class Ranking {
 public:
  explicit Ranking(size_t most) : most_(most) {}
  void Add(double key, int64_t row, Agreement agreement);
  // By key, smallest first.
  std::vector<std::pair<int64_t, Agreement>> Rows() const;

 private:
  const size_t most_;
  std::map<std::pair<double, int64_t>, Agreement> rows_;
};

}  // namespace attune::training
