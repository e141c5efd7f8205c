// spec.scheduling: the job's place among others, and when a failed attempt is tried again.
#include "tests/server/jobs/spec/spec_check_fixture.h"

namespace attune::jobs {
namespace {

using ::testing::IsEmpty;

TEST(SchedulingCheck, AbsentValuesAreFilledIn) {
  SpecCheckInput input = ValidInput();
  input.default_lost_attempts = 5;
  const v1::SchedulingSpec scheduling = CheckSpec(input).effective.scheduling();
  EXPECT_EQ(scheduling.project(), "default");
  EXPECT_EQ(scheduling.max_lost_attempts(), 5);
  EXPECT_EQ(scheduling.retry_policy().max_resource_retries(), 3);
  EXPECT_EQ(scheduling.retry_policy().max_system_retries(), 3);
  EXPECT_EQ(scheduling.retry_policy().backoff_seconds(), 10);
}

TEST(SchedulingCheck, WhatIsSaidStays) {
  SpecCheckInput input = ValidInput();
  v1::RetryPolicy& policy = *input.spec.mutable_scheduling()->mutable_retry_policy();
  policy.set_max_resource_retries(0);
  policy.set_backoff_seconds(0);
  const SpecCheckResult result = CheckSpec(input);
  EXPECT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_TRUE(result.effective.scheduling().retry_policy().has_max_resource_retries());
  EXPECT_EQ(result.effective.scheduling().retry_policy().max_resource_retries(), 0) << "none is not the default";
  EXPECT_EQ(result.effective.scheduling().retry_policy().max_system_retries(), 3);
  EXPECT_EQ(result.effective.scheduling().retry_policy().backoff_seconds(), 0);
}

class SchedulingFaults : public ::testing::TestWithParam<FaultCase> {};
TEST_P(SchedulingFaults, AreToldOnceByFieldAndWords) { ExpectOnlyFault(ValidInput(), GetParam()); }

FaultCase Policy(const std::string& name, const std::string& field, void (v1::RetryPolicy::*set)(int32_t), int32_t value, const std::string& range) {
  return {name, [=](SpecCheckInput& i) { (i.spec.mutable_scheduling()->mutable_retry_policy()->*set)(value); }, "spec.scheduling.retry_policy." + field,
          {"must be " + range + ", not " + std::to_string(value)}};
}

INSTANTIATE_TEST_SUITE_P(
    All, SchedulingFaults,
    ::testing::Values(Policy("NegativeResourceRetries", "max_resource_retries", &v1::RetryPolicy::set_max_resource_retries, -1, "0 to 100"),
                      Policy("ManyResourceRetries", "max_resource_retries", &v1::RetryPolicy::set_max_resource_retries, 101, "0 to 100"),
                      Policy("NegativeSystemRetries", "max_system_retries", &v1::RetryPolicy::set_max_system_retries, -1, "0 to 100"),
                      Policy("ManySystemRetries", "max_system_retries", &v1::RetryPolicy::set_max_system_retries, 101, "0 to 100"),
                      Policy("NegativeBackoff", "backoff_seconds", &v1::RetryPolicy::set_backoff_seconds, -1, "0 to 3600"),
                      Policy("LongBackoff", "backoff_seconds", &v1::RetryPolicy::set_backoff_seconds, 3601, "0 to 3600")),
    NameOf);

}  // namespace
}  // namespace attune::jobs
