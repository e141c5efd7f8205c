// How long a job waits before an attempt that went wrong is tried again: RetryPolicy of training_spec.proto. Pure.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/training_spec.pb.h"

namespace attune::jobs {

// Before the nth retry, from 1: `backoff_seconds`, then twice as long each time, up to an hour.
//
//   BackoffBefore(3, policy)   // 40 s with the default of 10
inline absl::Duration BackoffBefore(int n, const v1::RetryPolicy& policy) {
  constexpr int kDoublings = 20;  // more than lead from a second to an hour
  return std::min(absl::Seconds(policy.backoff_seconds()) * (int64_t{1} << std::clamp(n - 1, 0, kDoublings)), absl::Hours(1));
}

// Retries that the policy allows after failures of the category; 0 for those that another attempt would have too.
inline int RetriesAllowed(v1::FailureInfo::Category category, const v1::RetryPolicy& policy) {
  if (category == v1::FailureInfo::CATEGORY_RESOURCE) return policy.max_resource_retries();
  return category == v1::FailureInfo::CATEGORY_SYSTEM ? policy.max_system_retries() : 0;
}

// The category's key in FineTuningJob.retries: "RESOURCE".
inline std::string RetryKey(v1::FailureInfo::Category category) {
  constexpr std::string_view kPrefix = "CATEGORY_";
  return v1::FailureInfo::Category_Name(category).substr(kPrefix.size());
}

}  // namespace attune::jobs
