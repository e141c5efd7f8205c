// What the scheduler counts, as a scrape would see it.
#include "prometheus/metric_family.h"
#include "server/metrics/metric_names.h"
#include "tests/server/scheduler/scheduler_fixture.h"

namespace attune::scheduler {
namespace {

class MetricsTest : public SchedulerFixture {
 protected:
  // The value of the only series of a family that has all of `labels`; a histogram's number of observations. -1: there is none.
  double Value(const std::string& name, const std::map<std::string, std::string>& labels = {}) {
    double value = -1;
    for (const prometheus::MetricFamily& family : registry_->Collect()) {
      if (family.name != name) continue;
      for (const prometheus::ClientMetric& metric : family.metric) {
        size_t same = 0;
        for (const auto& label : metric.label) {
          const auto wanted = labels.find(label.name);
          same += wanted != labels.end() && wanted->second == label.value;
        }
        if (same != labels.size()) continue;
        EXPECT_EQ(value, -1) << name << ": several series";
        value = family.type == prometheus::MetricType::Histogram ? static_cast<double>(metric.histogram.sample_count) : metric.counter.value;
      }
    }
    return value;
  }

  void SayProgress(const worker::v1::Assign& assigned, int64_t step, int64_t steps_of_attempt) {
    worker::v1::ConnectRequest message = Message(assigned);
    message.mutable_progress()->set_step(step);
    worker::v1::WorkDone& work = *message.mutable_work_done();
    work.set_steps(steps_of_attempt);
    work.set_samples(32 * steps_of_attempt);
    work.set_tokens(100 * steps_of_attempt);
    work.set_step_seconds(0.5 * static_cast<double>(steps_of_attempt));
    work.set_input_wait_seconds(0.125 * static_cast<double>(steps_of_attempt));
    work.set_feature_cache_hits(1);
    work.set_feature_cache_misses(2);
    pool_->Say(message);
  }
};

TEST_F(MetricsTest, AJobsLifeIsCounted) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_scheduling()->set_project("reviews");
  request.mutable_spec()->mutable_scheduling()->set_priority(3);
  worker::v1::Assign assigned = Run(1, request);
  SayProgress(assigned, 4, 4);
  SayProgress(assigned, 10, 10);
  Save(assigned, 10);
  Finish(assigned, 10);
  WaitForState(assigned.fence().job(), State::STATE_SUCCEEDED);
  Settle();
  EXPECT_EQ(Value("attune_jobs_created_total", {{"project", "reviews"}, {"priority", "high"}}), 1);
  EXPECT_EQ(Value("attune_jobs_ended_total", {{"project", "reviews"}, {"state", "succeeded"}, {"fault", "none"}}), 1);
  EXPECT_EQ(Value("attune_job_wait_seconds", {{"project", "reviews"}, {"priority", "high"}}), 1);
  EXPECT_EQ(Value("attune_job_first_step_seconds", {{"priority", "high"}}), 1);
  const std::map<std::string, std::string> work = {{"project", "reviews"}, {"architecture", "bert"}};
  EXPECT_EQ(Value("attune_training_steps_total", {{"project", "reviews"}, {"kind", "useful"}}), 10);
  EXPECT_EQ(Value("attune_training_steps_total", {{"project", "reviews"}, {"kind", "repeated"}}), 0);
  EXPECT_EQ(Value("attune_training_samples_total", work), 320);
  EXPECT_EQ(Value("attune_training_tokens_total", work), 1000);
  EXPECT_EQ(Value("attune_training_step_seconds_total", work), 5);
  EXPECT_EQ(Value("attune_training_input_wait_seconds_total", work), 1.25);
  EXPECT_EQ(Value("attune_feature_cache_hits_total"), 1) << "the attempt's figures, not each message's";
  EXPECT_EQ(Value("attune_feature_cache_misses_total"), 2);
  EXPECT_EQ(Value("attune_checkpoint_write_seconds"), 1);
  EXPECT_EQ(Value("attune_checkpoint_bytes"), 1);
}

TEST_F(MetricsTest, WhatMayComeIsThereBeforeItComes) {
  EXPECT_EQ(Value("attune_job_retries_total", {{"reason", "killed"}}), 0);
  EXPECT_EQ(Value("attune_job_retries_total", {{"reason", "resource"}}), 0);
  EXPECT_EQ(Value("attune_jobs_ended_total", {{"state", "failed"}, {"fault", "system"}}), -1) << "no project is known yet";
  ASSERT_TRUE(Create().ok());
  Settle();
  for (const char* fault : {"user", "data", "resource", "system"}) EXPECT_EQ(Value("attune_jobs_ended_total", {{"state", "failed"}, {"fault", fault}}), 0) << fault;
  EXPECT_EQ(Value("attune_jobs_ended_total", {{"state", "cancelled"}, {"fault", "none"}}), 0);
}

TEST_F(MetricsTest, StepsThatALostAttemptHadDoneAlreadyAreRepeated) {
  worker::v1::Assign assigned = Run();
  Save(assigned, 5);
  SayProgress(assigned, 9, 9);
  Lose(assigned);
  assigned = pool_->WaitForAssign(2);
  SayStarted(assigned, 5);
  SayProgress(assigned, 8, 3);
  SayProgress(assigned, 12, 7);
  Settle();
  EXPECT_EQ(Value("attune_training_steps_total", {{"kind", "useful"}}), 12);
  EXPECT_EQ(Value("attune_training_steps_total", {{"kind", "repeated"}}), 4) << "6 to 9";
  EXPECT_EQ(Value("attune_job_retries_total", {{"reason", "killed"}}), 1);
  EXPECT_EQ(Value("attune_job_first_step_seconds"), 1) << "of the job, not of each attempt";
}

TEST_F(MetricsTest, FailuresAreCountedByFault) {
  worker::v1::Assign assigned = Run(1, WithoutRetries());
  worker::v1::Failed failed;
  failed.set_category(v1::FailureInfo::CATEGORY_USER);
  failed.set_code(3);
  failed.set_message("step 12: the loss became NaN");
  failed.set_not_finite(true);
  pool_->End(AttemptOf(assigned), failed);
  WaitForState(assigned.fence().job(), State::STATE_FAILED);
  Settle();
  EXPECT_EQ(Value("attune_jobs_ended_total", {{"state", "failed"}, {"fault", "user"}}), 1);
  EXPECT_EQ(Value("attune_jobs_not_finite_total"), 1);
}

TEST_F(MetricsTest, AFailureThatIsTriedAgainIsARetryByItsCategory) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_scheduling()->mutable_retry_policy()->set_backoff_seconds(0);
  worker::v1::Assign assigned = Run(1, request);
  Fail(assigned, v1::FailureInfo::CATEGORY_SYSTEM);
  pool_->WaitForAssign(2);
  Settle();
  EXPECT_EQ(Value("attune_job_retries_total", {{"reason", "system"}}), 1);
}

TEST_F(MetricsTest, WaitingJobsAreCountedByProjectAndPriorityAndTheOldestCheckpointByItsAge) {
  worker::v1::Assign assigned = Run();
  v1::CreateFineTuningJobRequest waiting = Request();
  waiting.mutable_spec()->mutable_scheduling()->set_project("photos");
  waiting.mutable_spec()->mutable_scheduling()->set_priority(-1);
  ASSERT_TRUE(Create(waiting).ok());
  ASSERT_TRUE(Create(waiting).ok());
  clock_.Advance(absl::Seconds(90));
  SchedulerCounts counts = scheduler_->Counts();
  ASSERT_EQ(counts.queues.size(), 1u);
  EXPECT_EQ(counts.queues[0].project, "photos");
  EXPECT_EQ(counts.queues[0].priority, "low");
  EXPECT_EQ(counts.queues[0].queued, 2);
  EXPECT_EQ(counts.queues[0].longest_wait, absl::Seconds(90));
  EXPECT_EQ(counts.oldest_checkpoint, absl::Seconds(90)) << "none yet: since training began";
  Save(assigned, 5);
  clock_.Advance(absl::Seconds(30));
  EXPECT_EQ(scheduler_->Counts().oldest_checkpoint, absl::Seconds(30));
}

TEST_F(MetricsTest, AJobThatWaitsThroughARestartHasWaitedAllTheTime) {
  pool_->SetStatus({.idle = 0});
  idle_at_start_ = 0;
  ASSERT_TRUE(Create().ok());
  clock_.Advance(absl::Seconds(50));
  Crash();
  clock_.Advance(absl::Seconds(10));
  ASSERT_EQ(scheduler_->Counts().queues.size(), 1u);
  EXPECT_EQ(scheduler_->Counts().queues[0].longest_wait, absl::Seconds(60));
}

TEST_F(MetricsTest, ProjectsBeyondTheFirstTwentyShareALabel) {
  for (int i = 0; i < 25; ++i) {
    v1::CreateFineTuningJobRequest request = Request();
    request.mutable_spec()->mutable_scheduling()->set_project("p" + std::to_string(i));
    ASSERT_TRUE(Create(request).ok());
  }
  EXPECT_EQ(Value("attune_jobs_created_total", {{"project", "p19"}}), 1);
  EXPECT_EQ(Value("attune_jobs_created_total", {{"project", "p20"}}), -1);
  EXPECT_EQ(Value("attune_jobs_created_total", {{"project", "other"}}), 5);
}

TEST_F(MetricsTest, NamesKeepTheRules) {
  worker::v1::Assign assigned = Run();
  SayProgress(assigned, 1, 1);
  Settle();
  EXPECT_TRUE(metrics::CheckMetricNames(*registry_).ok()) << metrics::CheckMetricNames(*registry_);
}

}  // namespace
}  // namespace attune::scheduler
