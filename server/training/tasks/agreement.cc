#include "server/training/tasks/agreement.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

namespace attune::training {
namespace {

// log(1 + exp(x)) without overflow.
double Softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

}  // namespace

Agreement AgreeOnClass(std::span<const float> logits, int32_t label) {
  const auto most = std::max_element(logits.begin(), logits.end());
  const double highest = *most;
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  Agreement out;
  out.predicted = {static_cast<int32_t>(most - logits.begin())};
  out.loss = std::log(sum) + highest - logits[static_cast<size_t>(label)];
  out.label_probability = std::exp(-out.loss);
  out.predicted_probability = 1 / sum;
  double other = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (static_cast<int32_t>(i) != label) other = std::max(other, static_cast<double>(logits[i]));
  }
  out.margin = out.label_probability - std::exp(other - highest) / sum;
  out.contradicts = out.predicted[0] != label;
  return out;
}

Agreement AgreeOnClasses(std::span<const float> logits, const std::vector<int32_t>& labels) {
  Agreement out;
  out.label_probability = 1;
  for (size_t i = 0; i < logits.size(); ++i) {
    const bool labelled = std::binary_search(labels.begin(), labels.end(), static_cast<int32_t>(i));
    const double logit = logits[i];
    if (logit > 0) out.predicted.push_back(static_cast<int32_t>(i));
    const double loss = Softplus(labelled ? -logit : logit);
    out.loss += loss / static_cast<double>(logits.size());
    out.label_probability = std::min(out.label_probability, std::exp(-loss));
  }
  out.predicted_probability = 1 - out.label_probability;
  out.margin = out.label_probability - out.predicted_probability;
  out.contradicts = out.predicted != labels;
  return out;
}

Agreement AgreeOnValue(float predicted, double value) {
  const double error = predicted - value;
  Agreement out;
  out.predicted_value = predicted;
  out.loss = error * error;
  out.margin = -std::abs(error);
  out.contradicts = error != 0;
  return out;
}

void Ranking::Add(double key, int64_t row, Agreement agreement) {
  if (std::isnan(key)) key = -std::numeric_limits<double>::infinity();  // nothing is worse
  if (rows_.size() == most_ && (most_ == 0 || std::pair(key, row) > rows_.rbegin()->first)) return;
  rows_.emplace(std::pair(key, row), std::move(agreement));
  if (rows_.size() > most_) rows_.erase(std::prev(rows_.end()));
}

std::vector<std::pair<int64_t, Agreement>> Ranking::Rows() const {
  std::vector<std::pair<int64_t, Agreement>> out;
  for (const auto& [key, agreement] : rows_) out.emplace_back(key.second, agreement);
  return out;
}

}  // namespace attune::training
