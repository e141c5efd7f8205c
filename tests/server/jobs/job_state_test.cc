#include "server/jobs/job_state.h"

#include <set>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::jobs {
namespace {

using ::testing::HasSubstr;
using J = v1::FineTuningJob;

constexpr State kAll[] = {J::STATE_UNSPECIFIED, J::STATE_QUEUED,     J::STATE_PREPARING, J::STATE_RUNNING,   J::STATE_PAUSING,
                          J::STATE_PAUSED,      J::STATE_CANCELLING, J::STATE_CANCELLED, J::STATE_SUCCEEDED, J::STATE_FAILED};

// The table of fine_tuning_job.proto, written out a second time.
TEST(JobState, EveryPairIsAsTheTableSays) {
  const std::set<std::pair<State, State>> table = {
      {J::STATE_UNSPECIFIED, J::STATE_QUEUED},   {J::STATE_QUEUED, J::STATE_PREPARING},     {J::STATE_QUEUED, J::STATE_CANCELLED},
      {J::STATE_PREPARING, J::STATE_RUNNING},    {J::STATE_PREPARING, J::STATE_QUEUED},     {J::STATE_PREPARING, J::STATE_CANCELLING},
      {J::STATE_PREPARING, J::STATE_FAILED},     {J::STATE_RUNNING, J::STATE_SUCCEEDED},    {J::STATE_RUNNING, J::STATE_FAILED},
      {J::STATE_RUNNING, J::STATE_CANCELLING},   {J::STATE_RUNNING, J::STATE_QUEUED},       {J::STATE_CANCELLING, J::STATE_CANCELLED},
      {J::STATE_CANCELLING, J::STATE_SUCCEEDED}, {J::STATE_CANCELLING, J::STATE_FAILED},    {J::STATE_QUEUED, J::STATE_PAUSED},
      {J::STATE_PREPARING, J::STATE_PAUSING},    {J::STATE_RUNNING, J::STATE_PAUSING},      {J::STATE_PAUSING, J::STATE_PAUSED},
      {J::STATE_PAUSING, J::STATE_SUCCEEDED},    {J::STATE_PAUSING, J::STATE_FAILED},       {J::STATE_PAUSING, J::STATE_CANCELLING},
      {J::STATE_PAUSED, J::STATE_QUEUED},        {J::STATE_PAUSED, J::STATE_CANCELLED},
  };
  for (State from : kAll) {
    for (State to : kAll) {
      bool expected = table.count({from, to}) != 0;
      EXPECT_EQ(CanChange(from, to), expected) << StateName(from) << " -> " << StateName(to);
      EXPECT_EQ(CheckStateChange(from, to).ok(), expected);
    }
  }
}

TEST(JobState, FinalStatesHaveNoWayOut) {
  for (State from : kAll) {
    bool any = false;
    for (State to : kAll) any = any || CanChange(from, to);
    EXPECT_EQ(any, !IsFinal(from)) << StateName(from);
  }
}

TEST(JobState, SlotsAreHeldWhileAnAttemptIsOnAWorker) {
  for (State state : kAll) {
    EXPECT_EQ(HoldsSlot(state), state == J::STATE_PREPARING || state == J::STATE_RUNNING || state == J::STATE_PAUSING || state == J::STATE_CANCELLING);
  }
}

TEST(JobState, ErrorsSayWhereTheJobIsAndWhereItCanGo) {
  absl::Status status = CheckStateChange(J::STATE_QUEUED, J::STATE_SUCCEEDED);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is QUEUED"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("PREPARING, PAUSED, CANCELLED"));
  EXPECT_THAT(std::string(CheckStateChange(J::STATE_FAILED, J::STATE_QUEUED).message()), HasSubstr("final"));
}

TEST(JobState, NamesGoBothWays) {
  EXPECT_EQ(StateNames().size(), 9u);
  for (const std::string& name : StateNames()) {
    ASSERT_TRUE(StateFromName(name).has_value()) << name;
    EXPECT_EQ(StateName(*StateFromName(name)), name);
  }
  EXPECT_EQ(StateName(J::STATE_UNSPECIFIED), "");
  EXPECT_FALSE(StateFromName("").has_value());
  EXPECT_FALSE(StateFromName("running").has_value());
  EXPECT_FALSE(StateFromName("STATE_RUNNING").has_value());
}

}  // namespace
}  // namespace attune::jobs
