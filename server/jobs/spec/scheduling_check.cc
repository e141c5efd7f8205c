// The part of the spec check that looks at spec.scheduling: the job's place among others.
#include "server/base/ids.h"
#include "server/jobs/job_fields.h"
#include "server/jobs/spec/spec_context.h"

namespace attune::jobs {
namespace {

constexpr int64_t kMaxRunSeconds = int64_t{10} * 366 * 24 * 3600;
constexpr int kMaxLostAttempts = 100;
constexpr int kMaxRetries = 100, kRetries = 3;
constexpr int kMaxBackoffSeconds = 3600, kBackoffSeconds = 10;

void CheckRetryPolicy(SpecContext& context) {
  v1::RetryPolicy& policy = *context.effective.mutable_scheduling()->mutable_retry_policy();
  if (!policy.has_max_resource_retries()) policy.set_max_resource_retries(kRetries);
  if (!policy.has_max_system_retries()) policy.set_max_system_retries(kRetries);
  if (!policy.has_backoff_seconds()) policy.set_backoff_seconds(kBackoffSeconds);
  context.InRange("scheduling.retry_policy.max_resource_retries", policy.max_resource_retries(), 0, kMaxRetries);
  context.InRange("scheduling.retry_policy.max_system_retries", policy.max_system_retries(), 0, kMaxRetries);
  context.InRange("scheduling.retry_policy.backoff_seconds", policy.backoff_seconds(), 0, kMaxBackoffSeconds);
}

}  // namespace

void CheckScheduling(SpecContext& context) {
  v1::SchedulingSpec& scheduling = *context.effective.mutable_scheduling();
  if (!IsPriority(scheduling.priority())) context.Fault("scheduling.priority", StrCat("must be -100 to 100, not ", scheduling.priority()));
  if (scheduling.project().empty()) {
    scheduling.set_project("default");
  } else if (!CheckResourceId(scheduling.project(), "project").ok()) {
    context.Fault("scheduling.project", "must be 1 to 63 of a-z, 0-9 and -, beginning with a letter");
  }
  context.InRange<int64_t>("scheduling.max_run_seconds", scheduling.max_run_seconds(), 0, kMaxRunSeconds);
  if (context.InRange("scheduling.max_lost_attempts", scheduling.max_lost_attempts(), 0, kMaxLostAttempts) && scheduling.max_lost_attempts() == 0) {
    scheduling.set_max_lost_attempts(context.input.default_lost_attempts);
  }
  CheckRetryPolicy(context);
}

}  // namespace attune::jobs
