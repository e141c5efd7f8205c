// What a prediction may be asked for: the limits that prediction.proto names, and whether the inputs are what the model takes. For api/ and the scheduler. Pure.
//
//   std::vector<jobs::FieldViolation> violations = CheckPredictInputs(request);
//   if (violations.empty()) violations = CheckPredictModality(request, job);
#pragma once

#include <cstddef>
#include <vector>

#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/prediction.pb.h"
#include "server/jobs/violations.h"

namespace attune::scheduler {

inline constexpr int kMaxPredictTexts = 256;
inline constexpr int kMaxPredictImages = 64;
inline constexpr int kMaxPredictViews = 32;
inline constexpr size_t kMaxPredictImageBytes = 16 << 20;
inline constexpr size_t kMaxPredictImagesBytes = 32 << 20;  // together

// Texts or images, not both, as many and as large as is allowed, and none of them empty. Every fault.
std::vector<jobs::FieldViolation> CheckPredictInputs(const v1::PredictRequest& request);

// Texts for a job that learnt from texts, images for one that learnt from images.
std::vector<jobs::FieldViolation> CheckPredictModality(const v1::PredictRequest& request, const v1::FineTuningJob& job);

}  // namespace attune::scheduler
