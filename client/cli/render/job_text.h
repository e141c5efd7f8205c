// Jobs, evaluations and metrics for people. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "client/cli/render/style.h"

namespace attune::cli {

// "RUNNING" for STATE_RUNNING, coloured.
std::string StateText(v1::FineTuningJob::State state, const Style& style);
// The colour of a state by its name without "STATE_".
std::string PaintState(const std::string& state, const Style& style);

std::string JobTable(const std::vector<v1::FineTuningJob>& jobs, absl::Time now, const Style& style);

// Everything about one job but its spec.
std::string JobDetails(const v1::FineTuningJob& job, absl::Time now, const Style& style);

// "accuracy 0.712  F1 0.690  loss 0.61": the values that people look at, in that order, then the others.
std::string EvaluationValues(const v1::Evaluation& evaluation, const Style& style);
// The values, figures of each class (with `bars`, F1 as a bar too) and the confusion matrix (up to 10 classes).
std::string EvaluationText(const v1::Evaluation& evaluation, const Style& style, bool bars = false);

// Category, step and the worker's last log lines of a failed job.
std::string JobError(const v1::FineTuningJob& job, const Style& style);

// Why the job ended as it did, its results, and commands to go on with.
std::string JobSummary(const v1::FineTuningJob& job, const Style& style);

// The last `limit` points (0: all) with a sparkline of the loss.
std::string MetricTable(const std::vector<v1::MetricPoint>& points, int limit, const Style& style);

}  // namespace attune::cli
