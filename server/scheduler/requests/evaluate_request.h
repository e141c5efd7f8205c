// What an evaluation may be asked for: the limits that prediction.proto names, and whether the dataset is of the checkpoint's kind. For api/ and the scheduler. Pure.
// Whether the classes are the same only the worker can say: it has both lists.
//
//   std::vector<jobs::FieldViolation> violations = CheckEvaluateRequest(request);
//   if (violations.empty()) violations = CheckEvaluateDataset(request, job, dataset);
#pragma once

#include <cstdint>
#include <vector>

#include "attune/v1/dataset.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/prediction.pb.h"
#include "attune/worker/v1/worker.pb.h"
#include "server/jobs/violations.h"

namespace attune::scheduler {

inline constexpr int32_t kMaxSuspects = 1000;
inline constexpr int32_t kDefaultSuspects = 20;
inline constexpr int32_t kMaxEvaluateBatch = 1024;
inline constexpr int32_t kDefaultEvaluateBatch = 64;

// Split, numbers, and what excludes what. Every fault; names are for others to check.
std::vector<jobs::FieldViolation> CheckEvaluateRequest(const v1::EvaluateRequest& request);

// The dataset must hold what the job's model takes, have labels of its kind, and rows in the split (and in the training split, for suspects).
std::vector<jobs::FieldViolation> CheckEvaluateDataset(const v1::EvaluateRequest& request, const v1::FineTuningJob& job, const v1::Dataset& dataset);

// What the worker is told, without directories.
worker::v1::Evaluate MakeEvaluation(const v1::EvaluateRequest& request);

}  // namespace attune::scheduler
