// Jobs that wait to be tried again, and checkpoints that are kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/render/format.h"
#include "client/cli/render/job_text.h"
#include "client/cli/render/result_text.h"

namespace attune::cli {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

const Style kPlain{.colour = false, .unicode = true};
const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

TEST(WaitingJobText, SaysWhenItIsTriedAgain) {
  v1::FineTuningJob job;
  job.set_name("fineTuningJobs/j1");
  job.set_state(v1::FineTuningJob::STATE_QUEUED);
  EXPECT_THAT(JobTable({job}, kNow, kPlain), HasSubstr("0 ahead"));
  EXPECT_THAT(JobDetails(job, kNow, kPlain), Not(HasSubstr("tried again")));
  job.mutable_retry_time()->set_seconds(absl::ToUnixSeconds(kNow) + 20);
  (*job.mutable_retries())["SYSTEM"] = 1;
  (*job.mutable_retries())["RESOURCE"] = 2;
  const absl::Time then = kNow + absl::Seconds(20);
  EXPECT_THAT(JobTable({job}, kNow, kPlain), HasSubstr("again " + TimeOfDay(then)));
  EXPECT_THAT(JobDetails(job, kNow, kPlain), ContainsRegex("tried again +" + DateAndTime(then)));
  EXPECT_THAT(JobDetails(job, kNow, kPlain), ContainsRegex("retries +2 after RESOURCE, 1 after SYSTEM"));
}

TEST(CheckpointTable, SaysWhyOneIsKept) {
  std::vector<v1::Checkpoint> checkpoints(4);
  for (size_t i = 0; i < checkpoints.size(); ++i) {
    checkpoints[i].set_name("fineTuningJobs/j1/checkpoints/" + std::to_string(i));
    checkpoints[i].set_is_best(i % 2 == 1);
    checkpoints[i].set_pinned(i >= 2);
  }
  const std::string table = CheckpointTable(checkpoints, kNow, kPlain);
  EXPECT_THAT(table, ContainsRegex("j1/0 +0 +0 B +no"));
  EXPECT_THAT(table, ContainsRegex("j1/1 .* best +no"));
  EXPECT_THAT(table, ContainsRegex("j1/2 .* pinned +no"));
  EXPECT_THAT(table, ContainsRegex("j1/3 .* best, pinned +no"));
}

TEST(JobDetails, SaysWhatChangedWhileItTrained) {
  v1::FineTuningJob job;
  v1::Adjustment& rate = *job.add_adjustments();
  rate.set_after_step(1200);
  rate.mutable_live_settings()->set_learning_rate_scale(0.5);
  v1::Adjustment& parts = *job.add_adjustments();
  parts.set_after_step(1300);
  parts.set_batch_parts(2);
  v1::Adjustment& waiting = *job.add_adjustments();
  waiting.set_after_step(-1);
  waiting.mutable_live_settings()->set_n_epochs(8);
  waiting.mutable_live_settings()->set_early_stopping_patience(3);
  EXPECT_THAT(JobDetails(job, kNow, kPlain), HasSubstr("learning rates x 0.5 after step 1,200; batches in 2 parts, for memory ran out, after step 1,300; "
                                                       "8 epochs, patience 3 from the next step on"));
}

}  // namespace
}  // namespace attune::cli
