#include "server/jobs/spec/spec_check.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"
#include "server/jobs/spec/spec_context.h"

namespace attune::jobs {
namespace {

constexpr int64_t kFewRows = 8;  // of a class
constexpr int kMaxHiddenLayers = 8;
constexpr int kMaxHiddenSize = 65536;

const v1::SplitReport* ReportOf(const v1::Dataset& dataset, v1::Split split) {
  for (const v1::SplitReport& report : dataset.report().splits()) {
    if (report.split() == split) return &report;
  }
  return nullptr;
}

// Classes that training rows have, and a warning for each with few of them.
void CheckClasses(SpecContext& context) {
  const v1::Dataset& dataset = context.input.dataset;
  const v1::SplitReport* train = ReportOf(dataset, v1::SPLIT_TRAIN);
  std::vector<std::string> seen;
  for (const std::string& label : dataset.labels()) {
    auto found = train->label_counts().find(label);
    int64_t count = found == train->label_counts().end() ? 0 : found->second;
    if (count > 0) seen.push_back(label);
    if (count < kFewRows) context.Warn(StrCat("class \"", label, "\" has ", count, " training rows; it will hardly be learnt"));
  }
  bool single = dataset.label_kind() == v1::LABEL_KIND_SINGLE_LABEL;
  if (single && seen.size() < 2) {
    context.Fault("dataset", StrCat(dataset.name(), " has ", seen.empty() ? "no class" : StrCat("only one class (\"", seen[0], "\")"),
                                    " in its training rows, so there is nothing to tell apart; import rows of at least two classes"));
  } else if (seen.empty()) {
    context.Fault("dataset", StrCat(dataset.name(), " has no training row with a class; import rows with labels"));
  }
}

}  // namespace

int64_t RowsOf(const v1::Dataset& dataset, v1::Split split) {
  const v1::SplitReport* report = ReportOf(dataset, split);
  return report == nullptr ? 0 : report->rows();
}

void CheckModel(SpecContext& context) {
  const v1::FineTuningSpec& spec = context.input.spec;
  if (spec.base_model().empty()) context.Fault("base_model", "is required: the models/{id} to start from");
  context.model_known = !context.input.model.name().empty();
  if (!context.model_known || context.input.architectures.empty()) return;
  std::vector<std::string> names;
  for (const v1::Architecture& architecture : context.input.architectures) names.push_back(architecture.name());
  const std::string& architecture = context.input.model.architecture();
  if (std::find(names.begin(), names.end(), architecture) == names.end()) {
    context.Fault("base_model", StrCat(spec.base_model(), " is of architecture ", architecture, ", which this server's workers cannot train; they can train ",
                                       absl::StrJoin(names, ", ")));
  }
}

void CheckDataset(SpecContext& context) {
  const v1::Dataset& dataset = context.input.dataset;
  if (context.input.spec.dataset().empty()) context.Fault("dataset", "is required: the datasets/{id} to learn from");
  if (dataset.name().empty()) return;
  if (dataset.state() != v1::Dataset::STATE_READY) {
    context.Fault("dataset", dataset.state() == v1::Dataset::STATE_FAILED
                                 ? StrCat(dataset.name(), " could not be imported (", dataset.error(), "); import it again")
                                 : StrCat(dataset.name(), " is still being imported; try again when it is READY"));
    return;
  }
  context.dataset_known = true;
  context.train_rows = RowsOf(dataset, v1::SPLIT_TRAIN);
  if (context.train_rows == 0) {
    context.Fault("dataset", StrCat(dataset.name(), " has no training rows; import it with a train split"));
  } else if (dataset.label_kind() != v1::LABEL_KIND_REGRESSION) {
    CheckClasses(context);
  }
}

void CheckHead(SpecContext& context) {
  v1::HeadSpec& head = *context.effective.mutable_head();
  if (head.has_dropout()) context.Share("head.dropout", head.dropout());
  if (head.hidden_sizes_size() > kMaxHiddenLayers) {
    context.Fault("head.hidden_sizes", StrCat("has ", head.hidden_sizes_size(), " layers and may have ", kMaxHiddenLayers));
  } else {
    for (int i = 0; i < head.hidden_sizes_size(); ++i) context.InRange(StrCat("head.hidden_sizes[", i, "]"), head.hidden_sizes(i), 1, kMaxHiddenSize);
  }
  if (!v1::Pooling_IsValid(head.pooling())) {
    context.Fault("head.pooling", StrCat("there is no pooling ", static_cast<int>(head.pooling()), "; use FIRST_TOKEN, MEAN or MAX"));
  }
  if (!v1::Activation_IsValid(head.activation())) {
    context.Fault("head.activation", StrCat("there is no activation ", static_cast<int>(head.activation()), "; use RELU, GELU, TANH or SILU"));
  } else if (head.hidden_sizes().empty()) {
    if (head.activation() != v1::ACTIVATION_UNSPECIFIED) context.Warn("head.activation is for hidden layers and is not used: head.hidden_sizes is empty");
  } else if (head.activation() == v1::ACTIVATION_UNSPECIFIED) {
    head.set_activation(v1::ACTIVATION_RELU);
  }
}

SpecCheckResult CheckSpec(const SpecCheckInput& input) {
  SpecCheckResult result;
  result.effective = input.spec;
  SpecContext context(input, result);
  CheckModel(context);
  CheckDataset(context);
  CheckModality(context);
  CheckTask(context);
  CheckHead(context);
  if (!input.spec.has_seed()) context.effective.set_seed(42);
  if (!v1::Precision_IsValid(input.spec.precision())) {
    context.Fault("precision", StrCat("there is no precision ", static_cast<int>(input.spec.precision()), "; use PRECISION_FP32 or PRECISION_BF16"));
  } else if (input.spec.precision() == v1::PRECISION_UNSPECIFIED) {
    context.effective.set_precision(v1::PRECISION_FP32);
  }
  CheckResources(context);
  CheckScheduling(context);
  CheckHyperparameters(context);
  CheckAdaptation(context);
  CheckImageSize(context);
  CheckAugmentation(context);
  CheckEvaluation(context);
  CheckTestViews(context);
  CheckCheckpointing(context);
  CheckLrRangeTest(context);
  ExpandUnfreezing(context);
  CheckPhases(context);
  CheckLora(context);
  CheckReplay(context);
  CheckWarmStart(context);
  return result;
}

}  // namespace attune::jobs
