// The fields of a job beside its spec, as clients give them at creation and later. Pure.
#pragma once

#include <google/protobuf/map.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "attune/v1/checkpoint.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "server/jobs/violations.h"

namespace attune::jobs {

void CheckDisplayName(const std::string& name, const std::string& field, std::vector<FieldViolation>& violations);
void CheckLabels(const google::protobuf::Map<std::string, std::string>& labels, const std::string& field, std::vector<FieldViolation>& violations);

bool IsPriority(int priority);  // -100 to 100

// Paths of an update mask that change how a job trains.
inline constexpr char kLearningRateScale[] = "live_settings.learning_rate_scale";
inline constexpr char kEpochs[] = "live_settings.n_epochs";
inline constexpr char kPatience[] = "live_settings.early_stopping_patience";

// Takes out those of the job's adjustments that have not taken effect and that `which` names.
void DropWaiting(v1::FineTuningJob& job, const std::function<bool(const v1::Adjustment&)>& which);

// INVALID_ARGUMENT with all faults of the mask and of what it names.
absl::Status CheckUpdate(const v1::UpdateFineTuningJobRequest& request);
absl::Status CheckUpdate(const v1::UpdateCheckpointRequest& request);

// NOT_FOUND.
absl::Status NoSuchJob(const std::string& id);

}  // namespace attune::jobs
