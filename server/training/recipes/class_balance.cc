#include "server/training/recipes/class_balance.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/nearest.h"
#include "server/training/input/class_rows.h"
#include "server/training/tasks/class_weights.h"

namespace attune::training {
namespace {

constexpr size_t kNamedClasses = 20;  // in a line of log

std::vector<double> NamedWeights(const std::map<std::string, double>& weights, const std::vector<std::string>& labels) {
  std::vector<double> out(labels.size(), 1);
  for (const auto& [name, weight] : weights) {
    const auto found = std::find(labels.begin(), labels.end(), name);
    if (found == labels.end()) {
      const std::string nearest = Nearest(name, labels);
      throw std::invalid_argument(
          absl::StrCat("class_weights: \"", name, "\" is no class of the dataset", nearest.empty() ? "" : absl::StrCat("; did you mean \"", nearest, "\"?")));
    }
    out[static_cast<size_t>(found - labels.begin())] = weight;
  }
  return out;
}

void LogWeights(const std::vector<double>& weights, const std::vector<std::string>& labels, JobReporter& reporter) {
  std::vector<std::string> named;
  for (size_t i = 0; i < std::min(weights.size(), kNamedClasses); ++i) named.push_back(absl::StrCat(labels[i], " ", weights[i]));
  reporter.LogLine(absl::StrCat("class weights by frequency: ", absl::StrJoin(named, ", "), weights.size() > kNamedClasses ? ", ..." : ""));
}

}  // namespace

ClassBalancing BalanceClasses(const FineTuneSpec& spec, const examples::ExampleReader& reader, JobReporter& reporter) {
  const examples::DatasetManifest& manifest = reader.manifest();
  ClassBalancing balancing;
  if (spec.class_balance == ClassBalance::kNone && spec.class_weights.empty()) return balancing;
  if (manifest.label_kind == examples::LabelKind::kRegression) throw std::invalid_argument("class_balance and class_weights are for classes, and the dataset's labels are numbers");
  if (!spec.class_weights.empty()) {
    balancing.weights = NamedWeights(spec.class_weights, manifest.labels);
    return balancing;
  }
  auto classes = std::make_shared<const ClassRows>(ReadClassRows(reader, examples::Split::kTrain));
  const std::vector<int64_t> counts = classes->counts();
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) reporter.LogLine(absl::StrCat("class \"", manifest.labels[i], "\" has no training row: it cannot be balanced, and is not learnt"));
  }
  if (spec.class_balance == ClassBalance::kWeightedLoss) {
    balancing.weights = BalancedWeights(counts, classes->rows, manifest.label_kind == examples::LabelKind::kMultiLabel);
    LogWeights(balancing.weights, manifest.labels, reporter);
  } else {
    balancing.order = [classes = std::move(classes), seed = spec.seed](int64_t epoch) { return BalancedOrder(*classes, seed, epoch); };
  }
  return balancing;
}

}  // namespace attune::training
