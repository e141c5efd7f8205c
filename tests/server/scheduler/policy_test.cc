// The pure parts: placement, retention, reports.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/scheduler/job_reports.h"
#include "server/scheduler/placement_policy.h"
#include "server/scheduler/retention.h"

namespace attune::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<QueuedJob> kThree = {{"c", 30}, {"a", 10}, {"b", 20}};

TEST(Placement, StartsTheOldestWhereThereIsASlotAndAWorker) {
  Placement placement = Place(kThree, {.job_slots = 2, .busy_slots = 0, .idle_workers = 5});
  EXPECT_THAT(placement.start, ElementsAre("a", "b"));
  EXPECT_THAT(placement.waiting, ElementsAre("c"));
  EXPECT_THAT(placement.reason, HasSubstr("running jobs to end"));
}

TEST(Placement, SaysWhatIsMissing) {
  EXPECT_THAT(Place(kThree, {.job_slots = 1, .busy_slots = 1, .idle_workers = 1}).reason, HasSubstr("running job to end"));
  EXPECT_THAT(Place(kThree, {.job_slots = 1, .idle_workers = 0}).reason, HasSubstr("a worker to be ready"));
  EXPECT_THAT(Place(kThree, {.job_slots = 1, .idle_workers = 0, .trouble = "no such program"}).reason, HasSubstr("no such program"));
  EXPECT_THAT(Place(kThree, {.job_slots = 1, .idle_workers = 1, .draining = true}).reason, HasSubstr("shutting down"));
}

TEST(Placement, NothingStartsWhileDrainingOrWithoutRoom) {
  EXPECT_THAT(Place(kThree, {.job_slots = 3, .idle_workers = 3, .draining = true}).start, IsEmpty());
  EXPECT_THAT(Place(kThree, {.job_slots = 1, .busy_slots = 2, .idle_workers = 3}).start, IsEmpty());
  EXPECT_THAT(Place(kThree, {.job_slots = 1, .idle_workers = -1}).start, IsEmpty());
  EXPECT_THAT(Place({}, {.job_slots = 1, .idle_workers = 1}).reason, "");
}

TEST(Retention, KeepsLastBestAndTheNewestOthers) {
  EXPECT_THAT(Expendable({}, -1, 1), IsEmpty());
  EXPECT_THAT(Expendable({10}, -1, 1), IsEmpty());
  EXPECT_THAT(Expendable({10, 20, 30}, 10, 1), IsEmpty());
  EXPECT_THAT(Expendable({10, 20, 30, 40, 50}, 10, 1), ElementsAre(20, 30));
  EXPECT_THAT(Expendable({10, 20, 30, 40, 50}, 50, 1), ElementsAre(10, 20, 30));
  EXPECT_THAT(Expendable({10, 20, 30, 40, 50}, -1, 2), ElementsAre(10, 20));
}

TEST(Reports, StateEventsKnowTheTerminalOnes) {
  v1::JobEvent event = StateEvent(v1::FineTuningJob::STATE_RUNNING, v1::FineTuningJob::STATE_FAILED, "why", 2, v1::JobEvent::LEVEL_ERROR);
  EXPECT_EQ(event.message(), "FAILED: why");
  EXPECT_EQ(event.attempt(), 2);
  EXPECT_EQ(event.state_changed().from(), "RUNNING");
  EXPECT_TRUE(event.state_changed().terminal());
  EXPECT_FALSE(StateEvent(v1::FineTuningJob::STATE_RUNNING, v1::FineTuningJob::STATE_QUEUED, "", 1, v1::JobEvent::LEVEL_INFO).state_changed().terminal());
}

TEST(Reports, FailuresCarryFailureInfo) {
  google::rpc::Status status = FailureStatus({.category = v1::FailureInfo::CATEGORY_DATA, .code = 3, .message = "no", .step = 7, .log_tail = {"a", "b"}});
  EXPECT_EQ(status.code(), 3);
  v1::FailureInfo info;
  ASSERT_TRUE(status.details(0).UnpackTo(&info));
  EXPECT_EQ(info.category(), v1::FailureInfo::CATEGORY_DATA);
  EXPECT_EQ(info.step(), 7);
  EXPECT_EQ(info.log_tail_size(), 2);
  EXPECT_EQ(FailureStatus({.code = 0, .message = "x"}).code(), 13) << "a failure is never OK";
}

}  // namespace
}  // namespace attune::scheduler
