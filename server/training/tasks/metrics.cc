#include "server/training/tasks/metrics.h"

#include <algorithm>
#include <cmath>

namespace attune::training {
namespace {

double Ratio(double part, double whole) { return whole == 0 ? 0 : part / whole; }

}  // namespace

double ClassCounts::precision() const { return Ratio(true_positives, true_positives + false_positives); }
double ClassCounts::recall() const { return Ratio(true_positives, true_positives + false_negatives); }
double ClassCounts::f1() const { return Ratio(2.0 * true_positives, 2.0 * true_positives + false_positives + false_negatives); }

std::vector<int64_t> ConfusionMatrix(const std::vector<int64_t>& truth, const std::vector<int64_t>& predicted, int64_t classes) {
  std::vector<int64_t> confusion(classes * classes);
  for (size_t i = 0; i < truth.size(); ++i) ++confusion[truth[i] * classes + predicted[i]];
  return confusion;
}

std::vector<ClassCounts> CountsOfConfusion(const std::vector<int64_t>& confusion, int64_t classes) {
  std::vector<ClassCounts> counts(classes);
  for (int64_t t = 0; t < classes; ++t) {
    for (int64_t p = 0; p < classes; ++p) {
      const int64_t n = confusion[t * classes + p];
      if (t == p) {
        counts[t].true_positives += n;
      } else {
        counts[t].false_negatives += n;
        counts[p].false_positives += n;
      }
    }
  }
  return counts;
}

std::vector<ClassCounts> CountsOfMultiLabel(const std::vector<uint8_t>& truth, const std::vector<uint8_t>& predicted, int64_t classes) {
  std::vector<ClassCounts> counts(classes);
  for (size_t i = 0; i < truth.size(); ++i) {
    ClassCounts& c = counts[i % classes];
    c.true_positives += truth[i] && predicted[i];
    c.false_positives += !truth[i] && predicted[i];
    c.false_negatives += truth[i] && !predicted[i];
  }
  return counts;
}

double Accuracy(const std::vector<int64_t>& confusion, int64_t classes) {
  int64_t right = 0, all = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(confusion.size()); ++i) {
    all += confusion[i];
    if (i / classes == i % classes) right += confusion[i];
  }
  return Ratio(right, all);
}

double SubsetAccuracy(const std::vector<uint8_t>& truth, const std::vector<uint8_t>& predicted, int64_t classes) {
  int64_t right = 0, all = 0;
  for (auto t = truth.begin(), p = predicted.begin(); t != truth.end(); t += classes, p += classes, ++all) right += std::equal(t, t + classes, p);
  return Ratio(right, all);
}

double TopKAccuracy(const std::vector<int64_t>& truth, std::span<const float> scores, int64_t classes, int64_t k) {
  int64_t right = 0;
  for (size_t row = 0; row < truth.size(); ++row) {
    const float* of_row = scores.data() + row * static_cast<size_t>(classes);
    int64_t before = 0;
    for (int64_t i = 0; i < classes; ++i) before += of_row[i] > of_row[truth[row]] || (of_row[i] == of_row[truth[row]] && i > truth[row]);
    right += before < k;
  }
  return Ratio(right, truth.size());
}

double MacroF1(const std::vector<ClassCounts>& counts, bool only_seen) {
  double sum = 0;
  int64_t classes = 0;
  for (const ClassCounts& c : counts) {
    if (only_seen && !c.seen()) continue;
    sum += c.f1();
    ++classes;
  }
  return Ratio(sum, classes);
}

double MicroF1(const std::vector<ClassCounts>& counts) {
  ClassCounts total;
  for (const ClassCounts& c : counts) {
    total.true_positives += c.true_positives;
    total.false_positives += c.false_positives;
    total.false_negatives += c.false_negatives;
  }
  return total.f1();
}

double MeanSquaredError(const std::vector<double>& truth, const std::vector<double>& predicted) {
  double sum = 0;
  for (size_t i = 0; i < truth.size(); ++i) sum += (truth[i] - predicted[i]) * (truth[i] - predicted[i]);
  return Ratio(sum, truth.size());
}

double MeanAbsoluteError(const std::vector<double>& truth, const std::vector<double>& predicted) {
  double sum = 0;
  for (size_t i = 0; i < truth.size(); ++i) sum += std::abs(truth[i] - predicted[i]);
  return Ratio(sum, truth.size());
}

std::optional<double> PearsonCorrelation(const std::vector<double>& truth, const std::vector<double>& predicted) {
  const double n = static_cast<double>(truth.size());
  if (n < 2) return std::nullopt;
  double mean_t = 0, mean_p = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    mean_t += truth[i] / n;
    mean_p += predicted[i] / n;
  }
  double tt = 0, pp = 0, tp = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    const double t = truth[i] - mean_t, p = predicted[i] - mean_p;
    tt += t * t;
    pp += p * p;
    tp += t * p;
  }
  if (!(tt > 0) || !(pp > 0)) return std::nullopt;
  return std::clamp(tp / (std::sqrt(tt) * std::sqrt(pp)), -1.0, 1.0);
}

}  // namespace attune::training
