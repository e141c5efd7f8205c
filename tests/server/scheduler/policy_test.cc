// The pure parts: retention, reports.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/scheduler/job_reports.h"
#include "server/scheduler/policy/retention.h"

namespace attune::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Retention, KeepsLastBestAndTheNewestOthers) {
  EXPECT_THAT(Expendable({}, {}, 1), IsEmpty());
  EXPECT_THAT(Expendable({10}, {}, 1), IsEmpty());
  EXPECT_THAT(Expendable({10, 20, 30}, {10}, 1), IsEmpty());
  EXPECT_THAT(Expendable({10, 20, 30, 40, 50}, {10}, 1), ElementsAre(20, 30));
  EXPECT_THAT(Expendable({10, 20, 30, 40, 50}, {50}, 1), ElementsAre(10, 20, 30));
  EXPECT_THAT(Expendable({10, 20, 30, 40, 50}, {}, 2), ElementsAre(10, 20));
}

TEST(Retention, HeldOnesStayAndDoNotCount) {
  EXPECT_THAT(Expendable({10, 20, 30, 40, 50}, {10, 20, 40}, 1), IsEmpty());
  EXPECT_THAT(Expendable({10, 20, 30, 40, 50, 60}, {20, 40}, 1), ElementsAre(10, 30));
  EXPECT_THAT(Expendable({10, 20, 30}, {10, 20, 30}, 0), IsEmpty());
  EXPECT_THAT(Expendable({10, 20, 30}, {99}, 0), ElementsAre(10, 20)) << "one that is gone holds nothing";
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
