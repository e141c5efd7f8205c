#include "server/scheduler/requests/evaluate_request.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "server/base/str_cat.h"
#include "server/jobs/spec/spec_check.h"

namespace attune::scheduler {
namespace {

using Violations = std::vector<jobs::FieldViolation>;

constexpr v1::Split kSplits[] = {v1::SPLIT_TRAIN, v1::SPLIT_VALIDATION, v1::SPLIT_TEST};

// As workers name it; empty for the default.
std::string NameOf(v1::Split split) {
  if (split == v1::SPLIT_UNSPECIFIED || !v1::Split_IsValid(split)) return "";
  return absl::AsciiStrToLower(v1::Split_Name(split).substr(sizeof("SPLIT_") - 1));
}

// "train, test": what has rows.
std::string SplitsWithRows(const v1::Dataset& dataset) {
  std::string names;
  for (v1::Split split : kSplits) {
    if (jobs::RowsOf(dataset, split) > 0) StrAppend(&names, names.empty() ? "" : ", ", NameOf(split));
  }
  return names;
}

void CheckClasses(const v1::FineTuningJob& job, const v1::Dataset& dataset, Violations& violations) {
  const int learnt = job.class_labels_size(), given = dataset.labels_size();
  if (learnt == 0) return;  // jobs of older servers do not say; the worker does
  for (int i = 0; i < std::max(learnt, given); ++i) {
    const std::string ours = i < learnt ? StrCat("\"", job.class_labels(i), "\"") : "none";
    const std::string theirs = i < given ? StrCat("\"", dataset.labels(i), "\"") : "none";
    if (ours == theirs) continue;
    violations.push_back({"dataset", StrCat(dataset.name(), " has other classes than the checkpoint learnt (", given, " and ", learnt, "): class ", i + 1, " is ", theirs,
                                            " in the dataset and ", ours, " in the checkpoint; import the rows again so that all have the checkpoint's classes")});
    return;
  }
}

void CheckRows(const v1::EvaluateRequest& request, const v1::Dataset& dataset, Violations& violations) {
  if (request.split() != v1::SPLIT_UNSPECIFIED && jobs::RowsOf(dataset, request.split()) == 0) {
    violations.push_back({"split", StrCat(dataset.name(), " has no ", NameOf(request.split()), " rows; it has ", SplitsWithRows(dataset))});
  }
  if (request.split() == v1::SPLIT_UNSPECIFIED && jobs::RowsOf(dataset, v1::SPLIT_TEST) + jobs::RowsOf(dataset, v1::SPLIT_VALIDATION) == 0) {
    violations.push_back({"split", StrCat(dataset.name(), " has neither test nor validation rows; say which split to evaluate on: it has ", SplitsWithRows(dataset))});
  }
  if (request.find_suspects() && jobs::RowsOf(dataset, v1::SPLIT_TRAIN) == 0) {
    violations.push_back({"find_suspects", StrCat(dataset.name(), " has no training rows, and it is among those that suspects are looked for")});
  }
}

}  // namespace

Violations CheckEvaluateRequest(const v1::EvaluateRequest& request) {
  Violations violations;
  if (!v1::Split_IsValid(request.split())) violations.push_back({"split", "must be SPLIT_TRAIN, SPLIT_VALIDATION or SPLIT_TEST, or left out"});
  if (request.suspect_count() < 0 || request.suspect_count() > kMaxSuspects) {
    violations.push_back({"suspect_count", StrCat("is ", request.suspect_count(), " and must be 1 to ", kMaxSuspects, ", or 0 for ", kDefaultSuspects)});
  } else if (request.suspect_count() > 0 && !request.find_suspects()) {
    violations.push_back({"suspect_count", "is set, and find_suspects is not; set both to look for suspects"});
  }
  if (request.has_batch_size() && (request.batch_size() < 1 || request.batch_size() > kMaxEvaluateBatch)) {
    violations.push_back({"batch_size", StrCat("is ", request.batch_size(), " and must be 1 to ", kMaxEvaluateBatch)});
  }
  return violations;
}

Violations CheckEvaluateDataset(const v1::EvaluateRequest& request, const v1::FineTuningJob& job, const v1::Dataset& dataset) {
  if (std::string why = jobs::WhyRowsDoNotFit(job.effective_spec().task(), dataset); !why.empty()) return {{"dataset", why}};
  Violations violations;
  if (dataset.name() != job.spec().dataset()) CheckClasses(job, dataset, violations);
  CheckRows(request, dataset, violations);
  return violations;
}

worker::v1::Evaluate MakeEvaluation(const v1::EvaluateRequest& request) {
  worker::v1::Evaluate evaluation;
  evaluation.set_split(NameOf(request.split()));
  if (request.find_suspects()) evaluation.set_suspect_count(request.suspect_count() > 0 ? request.suspect_count() : kDefaultSuspects);
  evaluation.set_batch_size(request.has_batch_size() ? request.batch_size() : kDefaultEvaluateBatch);
  return evaluation;
}

}  // namespace attune::scheduler
