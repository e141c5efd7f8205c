// Jobs that share a device by memory: what is measured, when, and what comes of it.
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/scheduler/scheduler_fixture.h"

namespace attune::scheduler {
namespace {

using ::testing::HasSubstr;

class MemoryTest : public SchedulerFixture {
 protected:
  void SetUp() override {
    idle_at_start_ = 3;
    Start({.job_slots = 3, .job_memory_bytes = 1000});
  }
  static v1::CreateFineTuningJobRequest Job(int64_t memory_bytes = 0, int batch_size = 16) {
    v1::CreateFineTuningJobRequest request = Request();
    request.mutable_spec()->mutable_hyperparameters()->set_batch_size(batch_size);
    if (memory_bytes > 0) request.mutable_spec()->mutable_resources()->set_memory_bytes(memory_bytes);
    return request;
  }
  static v1::PlanFineTuningJobResponse Measured(int64_t bytes) {
    v1::PlanFineTuningJobResponse plan;
    plan.set_device("cpu");
    plan.mutable_memory()->set_peak_bytes(bytes);
    return plan;
  }
};

TEST_F(MemoryTest, JobsWhoseSpecsSayWhatTheyTakeAreNotMeasured) {
  Run(1, Job(600));
  Run(2, Job(400));
  const std::string third = Create(Job(1))->name();
  Settle();
  EXPECT_EQ(Get(third).state(), State::STATE_QUEUED);
  EXPECT_EQ(Get(third).blocking_resource(), "memory");
  EXPECT_EQ(Get(third).memory_bytes(), 1);
  EXPECT_THAT(Get(third).state_reason(), HasSubstr("the running jobs leave 0.0 MiB"));
}

TEST_F(MemoryTest, AJobOnAnEmptyDeviceStartsUnmeasuredAndOneBesideItIsMeasured) {
  const worker::v1::Assign first = Run(1, Job(0, 16));
  const std::string second = Create(Job(0, 32))->name();
  auto [probe, done] = pool_->WaitForProbe(1);
  EXPECT_TRUE(probe.memory_only());
  EXPECT_EQ(probe.assignment().effective_spec().hyperparameters().batch_size(), 32) << "the waiting one's";
  Settle();
  EXPECT_EQ(Get(second).blocking_resource(), "plan");
  EXPECT_TRUE(scheduler_->IsInUse("models/mini"));
  done(Measured(700));
  auto [other, other_done] = pool_->WaitForProbe(2);
  EXPECT_EQ(other.assignment().effective_spec().hyperparameters().batch_size(), 16) << "the running one's";
  other_done(Measured(300));
  EXPECT_EQ(pool_->WaitForAssign(2).fence().job(), second);
  EXPECT_EQ(Get(second).memory_bytes(), 700);
  EXPECT_EQ(Get(first.fence().job()).memory_bytes(), 300);
  WaitForEvent(second, [](const v1::JobEvent& event) { return event.log_line().text() == "a plan has measured that it takes up to 0.0 MiB of cpu"; });
}

TEST_F(MemoryTest, EqualJobsAreMeasuredOnce) {
  Run(1, Job(200));
  const std::string second = Create(Job())->name();
  auto [probe, done] = pool_->WaitForProbe(1);
  v1::CreateFineTuningJobRequest sweep = Job();
  sweep.mutable_spec()->set_seed(7);
  sweep.mutable_spec()->mutable_hyperparameters()->set_learning_rate(3e-4);
  const std::string third = Create(sweep)->name();
  done(Measured(400));
  pool_->WaitForAssign(3);
  EXPECT_EQ(Get(third).memory_bytes(), 400);
  // And those that come later know it at once.
  EXPECT_EQ(Create(sweep)->memory_bytes(), 400);
}

TEST_F(MemoryTest, WhatAPlanFoundForSomebodyIsUsed) {
  v1::PlanFineTuningJobRequest plan;
  *plan.mutable_spec() = Job().spec();
  scheduler_->Plan(plan, [](const auto&) {});
  auto [probe, done] = pool_->WaitForProbe(1);
  EXPECT_FALSE(probe.memory_only());
  done(Measured(123));
  Settle();
  EXPECT_EQ(Create(Job())->memory_bytes(), 123);
}

TEST_F(MemoryTest, AMeasurementThatNobodyWaitsForEnds) {
  const worker::v1::Assign first = Run(1, Job(200));
  const std::string second = Create(Job())->name();
  auto [probe, done] = pool_->WaitForProbe(1);
  Save(first, 10);
  Finish(first, 10);
  EXPECT_EQ(pool_->WaitForAssign(2).fence().job(), second) << "it has the device to itself now";
  EXPECT_EQ(pool_->WaitForCancelledProbe(), 1);
  done(absl::CancelledError("cancelled"));
  Settle();
  EXPECT_EQ(Get(second).memory_bytes(), 0);
}

TEST_F(MemoryTest, OneThatCannotBeMeasuredRunsAlone) {
  const worker::v1::Assign first = Run(1, Job(200));
  const std::string second = Create(Job())->name();
  auto [probe, done] = pool_->WaitForProbe(1);
  done(absl::UnavailableError("the worker was lost"));
  WaitForEvent(second, [](const v1::JobEvent& event) { return event.message().find("could not be measured") != std::string::npos; });
  Settle();
  EXPECT_EQ(Get(second).blocking_resource(), "memory");
  EXPECT_THAT(Get(second).state_reason(), HasSubstr("waits until it has cpu to itself"));
  const std::string third = Create(Job(10))->name();
  Save(first, 10);
  Finish(first, 10);
  EXPECT_EQ(pool_->WaitForAssign(2).fence().job(), second);
  Settle();
  EXPECT_EQ(Get(third).state(), State::STATE_QUEUED);
}

TEST_F(MemoryTest, WhatIsFoundAfterAJobsEndIsNoNews) {
  const worker::v1::Assign first = Run(1, Job(0, 16));
  Create(Job(0, 32)).value();
  pool_->WaitForProbe(1).second(Measured(700));
  auto [probe, done] = pool_->WaitForProbe(2);
  EXPECT_EQ(probe.assignment().effective_spec().hyperparameters().batch_size(), 16);
  Save(first, 10);
  Finish(first, 10);
  WaitForState(first.fence().job(), State::STATE_SUCCEEDED);
  const size_t events = Events(first.fence().job()).size();
  done(Measured(300));
  Settle();
  EXPECT_EQ(Events(first.fence().job()).size(), events);
}

TEST_F(MemoryTest, AJobThatHasTakenMoreThanWasPlannedIsCountedWithThat) {
  const worker::v1::Assign first = Run(1, Job(200));
  worker::v1::ConnectRequest message = Message(first);
  message.mutable_progress()->set_step(3);
  message.mutable_progress()->set_peak_memory_bytes(950);
  pool_->Say(message);
  const std::string second = Create(Job(100))->name();
  Settle();
  EXPECT_EQ(Get(second).state(), State::STATE_QUEUED);
  EXPECT_EQ(Get(second).blocking_resource(), "memory");
}

TEST_F(MemoryTest, WhatWasMeasuredSurvivesTheServer) {
  Run(1, Job(900));
  const std::string second = Create(Job())->name();
  auto [probe, done] = pool_->WaitForProbe(1);
  done(Measured(500));
  WaitForEvent(second, [](const v1::JobEvent& event) { return event.has_log_line(); });
  Crash({.job_slots = 3, .job_memory_bytes = 1000});
  EXPECT_EQ(Get(second).memory_bytes(), 500);
}

TEST_F(MemoryTest, SlotsAloneDecideWhereTheOperatorSaysSo) {
  Stop();
  Start({.job_slots = 2, .share_by_memory = false, .job_memory_bytes = 1000});
  Run(1, Job(900));
  Run(2, Job(900));
}

}  // namespace
}  // namespace attune::scheduler
