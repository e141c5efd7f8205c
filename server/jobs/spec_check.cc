#include "server/jobs/spec_check.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"
#include "server/base/nearest.h"
#include "server/jobs/spec_context.h"

namespace attune::jobs {
namespace {

constexpr int64_t kFewRows = 8;  // of a class

v1::Task TaskOf(v1::LabelKind kind) {
  switch (kind) {
    case v1::LABEL_KIND_SINGLE_LABEL:
      return v1::TASK_TEXT_CLASSIFICATION;
    case v1::LABEL_KIND_MULTI_LABEL:
      return v1::TASK_TEXT_MULTI_LABEL;
    case v1::LABEL_KIND_REGRESSION:
      return v1::TASK_TEXT_REGRESSION;
    default:
      return v1::TASK_UNSPECIFIED;
  }
}

std::string WhatLabelsAre(v1::LabelKind kind) {
  switch (kind) {
    case v1::LABEL_KIND_SINGLE_LABEL:
      return "one class for each row";
    case v1::LABEL_KIND_MULTI_LABEL:
      return "any number of classes for each row";
    default:
      return "a number for each row";
  }
}

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

std::string TaskName(v1::Task task) {
  switch (task) {
    case v1::TASK_TEXT_CLASSIFICATION:
      return "text-classification";
    case v1::TASK_TEXT_MULTI_LABEL:
      return "text-multi-label";
    case v1::TASK_TEXT_REGRESSION:
      return "text-regression";
    default:
      return "";
  }
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

void CheckTask(SpecContext& context) {
  v1::Task asked = context.input.spec.task();
  if (!v1::Task_IsValid(asked)) {
    context.Fault("task", StrCat("there is no task ", static_cast<int>(asked), "; leave it out, and the dataset's labels decide"));
    return;
  }
  v1::Task fitting = context.dataset_known ? TaskOf(context.input.dataset.label_kind()) : v1::TASK_UNSPECIFIED;
  context.task = asked == v1::TASK_UNSPECIFIED ? fitting : asked;
  context.effective.set_task(context.task);
  if (fitting != v1::TASK_UNSPECIFIED && context.task != fitting) {
    context.Fault("task", StrCat(v1::Task_Name(asked), " does not fit ", context.input.dataset.name(), ", whose labels are ",
                                 WhatLabelsAre(context.input.dataset.label_kind()), "; use ", v1::Task_Name(fitting), " or leave task out"));
    context.task = v1::TASK_UNSPECIFIED;  // what depends on it would only repeat this
  }
  for (const v1::Architecture& architecture : context.input.architectures) {
    if (!context.model_known || architecture.name() != context.input.model.architecture() || context.task == v1::TASK_UNSPECIFIED) continue;
    const auto& tasks = architecture.tasks();
    if (std::find(tasks.begin(), tasks.end(), TaskName(context.task)) == tasks.end()) {
      context.Fault("task", StrCat(architecture.name(), " cannot be adapted to ", TaskName(context.task), "; it can to ", absl::StrJoin(tasks, ", ")));
    }
  }
}

SpecCheckResult CheckSpec(const SpecCheckInput& input) {
  SpecCheckResult result;
  result.effective = input.spec;
  SpecContext context(input, result);
  CheckModel(context);
  CheckDataset(context);
  CheckTask(context);
  if (input.spec.head().has_dropout()) context.Share("head.dropout", input.spec.head().dropout());
  if (!input.spec.has_seed()) context.effective.set_seed(42);
  if (!v1::Precision_IsValid(input.spec.precision())) {
    context.Fault("precision", StrCat("there is no precision ", static_cast<int>(input.spec.precision()), "; use PRECISION_FP32 or PRECISION_BF16"));
  } else if (input.spec.precision() == v1::PRECISION_UNSPECIFIED) {
    context.effective.set_precision(v1::PRECISION_FP32);
  }
  CheckResources(context);
  CheckHyperparameters(context);
  CheckEvaluation(context);
  CheckCheckpointing(context);
  CheckPhases(context);
  return result;
}

}  // namespace attune::jobs
