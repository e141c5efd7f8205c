// Who starts, who gives way, who waits and for what.
#include "server/scheduler/policy/placement_policy.h"

#include <algorithm>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/scheduler/policy/project_usage.h"

namespace attune::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);
const std::vector<QueuedJob> kThree = {{"c", 30}, {"a", 10}, {"b", 20}};

std::vector<std::string> Ids(const std::vector<Started>& started) {
  std::vector<std::string> ids;
  for (const Started& each : started) ids.push_back(each.id);
  return ids;
}
std::vector<std::string> Ids(const std::vector<Waiting>& waiting) {
  std::vector<std::string> ids;
  for (const Waiting& each : waiting) ids.push_back(each.id);
  return ids;
}
std::vector<std::string> Pairs(const std::vector<Preempted>& preempted) {
  std::vector<std::string> pairs;
  for (const Preempted& each : preempted) pairs.push_back(each.id + " by " + each.by);
  return pairs;
}
ClusterState Slots(int slots, int idle = 9) { return {.job_slots = slots, .idle_workers = idle, .now = kNow}; }

TEST(Placement, StartsTheOldestWhereThereIsASlotAndAWorker) {
  const Placement placement = Place(kThree, {}, Slots(2));
  EXPECT_THAT(Ids(placement.start), ElementsAre("a", "b"));
  EXPECT_THAT(Ids(placement.waiting), ElementsAre("c"));
  EXPECT_THAT(placement.reason, HasSubstr("running jobs to end"));
  EXPECT_EQ(placement.blocking_resource, "job_slots");
}

TEST(Placement, SaysWhatIsMissing) {
  EXPECT_THAT(Place(kThree, {{"r", 1}}, Slots(1)).reason, HasSubstr("running job to end"));
  EXPECT_THAT(Place(kThree, {}, Slots(1, 0)).reason, HasSubstr("a worker to be ready"));
  EXPECT_EQ(Place(kThree, {}, Slots(1, 0)).blocking_resource, "worker");
  ClusterState state = Slots(1, 0);
  state.trouble = "no such program";
  EXPECT_THAT(Place(kThree, {}, state).reason, HasSubstr("no such program"));
  state = Slots(1);
  state.draining = true;
  EXPECT_THAT(Place(kThree, {}, state).reason, HasSubstr("shutting down"));
  EXPECT_EQ(Place(kThree, {}, state).blocking_resource, "server");
}

TEST(Placement, NothingStartsWhileDrainingOrWithoutRoom) {
  ClusterState draining = Slots(3);
  draining.draining = true;
  EXPECT_THAT(Place(kThree, {}, draining).start, IsEmpty());
  EXPECT_THAT(Place(kThree, {{"r", 1}, {"s", 2}}, Slots(1)).start, IsEmpty());
  EXPECT_THAT(Place(kThree, {}, Slots(1, -1)).start, IsEmpty());
  EXPECT_THAT(Place({}, {}, Slots(1)).reason, "");
}

TEST(Placement, PriorityGoesBeforeAge) {
  const std::vector<QueuedJob> jobs = {{"old", 10, 0}, {"low", 5, -3}, {"high", 30, 7}, {"high too", 20, 7}};
  EXPECT_THAT(Ids(Place(jobs, {}, Slots(1)).start), ElementsAre("high too"));
  EXPECT_THAT(Ids(Place(jobs, {}, Slots(1)).waiting), ElementsAre("high", "old", "low"));
}

TEST(Placement, WaitingGainsPriority) {
  ClusterState state = Slots(1);
  state.aging_interval = absl::Minutes(10);
  const std::vector<QueuedJob> jobs = {{"fresh", 20, 3, "", kNow - absl::Minutes(9)}, {"patient", 10, 0, "", kNow - absl::Minutes(41)}};
  EXPECT_THAT(Ids(Place(jobs, {}, state).start), ElementsAre("patient"));
  EXPECT_EQ(Place(jobs, {}, state).start[0].priority, 4);
  state.aging_interval = absl::Hours(1);
  EXPECT_THAT(Ids(Place(jobs, {}, state).start), ElementsAre("fresh"));
}

TEST(Placement, TheProjectThatHadTheLeastGoesFirst) {
  ClusterState state = Slots(2);
  state.project_seconds = {{"vision", 500}, {"text", 100}};
  state.typical_seconds = 60;
  const std::vector<QueuedJob> jobs = {{"v1", 1, 0, "vision"}, {"t1", 2, 0, "text"}, {"t2", 3, 0, "text"}, {"n1", 4, 0, "new"}, {"n2", 5, 0, "new"}, {"n3", 6, 0, "new"}};
  const Placement placement = Place(jobs, {}, state);
  EXPECT_THAT(Ids(placement.start), ElementsAre("n1", "n2"));  // 0, then 60
  EXPECT_THAT(Ids(placement.waiting), ElementsAre("t1", "n3", "t2", "v1")) << "100, 120, 160, 500";
}

TEST(Placement, ProjectsThatHadTheSameTakeTurns) {
  std::vector<QueuedJob> jobs;
  for (int i = 0; i < 3; ++i) jobs.push_back({"a" + std::to_string(i), i, 0, "a"});
  for (int i = 0; i < 2; ++i) jobs.push_back({"b" + std::to_string(i), 10 + i, 0, "b"});
  EXPECT_THAT(Ids(Place(jobs, {{"r", 0}}, Slots(1)).waiting), ElementsAre("a0", "b0", "a1", "b1", "a2"));
}

TEST(Placement, WhatHasJustStartedCountsForItsProject) {
  const std::vector<QueuedJob> jobs = {{"a", 1, 0, "vision"}, {"b", 2, 0, "text"}};
  RunningJob running{.id = "r", .project = "vision"};
  EXPECT_THAT(Ids(Place(jobs, {running}, Slots(2)).start), ElementsAre("b")) << "or vision would have both slots";
  running.trained = absl::Seconds(90);  // and was counted with that
  EXPECT_THAT(Ids(Place(jobs, {running}, Slots(2)).start), ElementsAre("a"));
}

TEST(Placement, AProjectWithAsManyAsItMayHaveWaitsAndHoldsNobodyUp) {
  ClusterState state = Slots(4);
  state.most_running_jobs = [](const std::string& project) { return project == "vision" ? 2 : project == "alone" ? 1 : 0; };
  const std::vector<QueuedJob> jobs = {{"v1", 1, 9, "vision"}, {"v2", 2, 9, "vision"}, {"t1", 3, 0, "text"}, {"t2", 4, 0, "text"}, {"a1", 5, 0, "alone"}};
  const std::vector<RunningJob> running = {{.id = "r1", .project = "vision"}, {.id = "r2", .project = "alone"}};
  const Placement placement = Place(jobs, running, state);
  EXPECT_THAT(Ids(placement.start), ElementsAre("v1", "t1")) << "one more of vision, however important the next; two slots were free";
  EXPECT_THAT(Ids(placement.waiting), ElementsAre("t2", "v2", "a1"));
  EXPECT_EQ(placement.waiting[0].held, "");
  EXPECT_THAT(placement.waiting[1].held, HasSubstr("one of its project's 2 running jobs"));
  EXPECT_THAT(placement.waiting[2].held, HasSubstr("its project's running job to end"));
  EXPECT_THAT(placement.preempt, IsEmpty()) << "a job that may not start takes nobody's slot";
}

TEST(Preemption, NobodyGivesWayToAJobThatMayNotStart) {
  ClusterState state = Slots(1);
  state.most_running_jobs = [](const std::string&) { return 1; };
  const Placement placement = Place({{"urgent", 2, 50, "vision"}}, {{.id = "r", .priority = 0, .project = "vision"}}, state);
  EXPECT_THAT(placement.preempt, IsEmpty());
  EXPECT_THAT(Ids(placement.waiting), ElementsAre("urgent"));
}

TEST(Preemption, TheLeastImportantGivesWay) {
  const std::vector<RunningJob> running = {{"mid", 1, 2}, {"low, old", 2, 0}, {"low, young", 3, 0}};
  const std::vector<QueuedJob> jobs = {{"h", 9, 5}};
  EXPECT_THAT(Pairs(Place(jobs, running, Slots(3)).preempt), ElementsAre("low, young by h"));
  EXPECT_THAT(Place(jobs, running, Slots(4)).preempt, IsEmpty()) << "a slot is free";
}

TEST(Preemption, EqualsAreLeftAlone) {
  EXPECT_THAT(Place({{"h", 9, 5}}, {{"r", 1, 5}}, Slots(1)).preempt, IsEmpty());
  EXPECT_THAT(Place({{"h", 9, 5}}, {{"r", 1, 6}}, Slots(1)).preempt, IsEmpty()) << "a job that had waited long keeps what it gained";
}

TEST(Preemption, AsManyAsAreNeededAndNoMore) {
  const std::vector<RunningJob> running = {{"r1", 1, 0}, {"r2", 2, 0}, {"r3", 3, 0}};
  EXPECT_THAT(Pairs(Place({{"h1", 8, 5}, {"h2", 9, 5}, {"n", 10, 0}}, running, Slots(3)).preempt), ElementsAre("r3 by h1", "r2 by h2"));
  const std::vector<RunningJob> one_leaves = {{"r1", 1, 0}, {"r2", 2, 0, /*leaving=*/true}, {"r3", 3, 0}};
  EXPECT_THAT(Pairs(Place({{"h1", 8, 5}, {"h2", 9, 5}}, one_leaves, Slots(3)).preempt), ElementsAre("r3 by h2")) << "h1 gets the slot that comes free";
}

TEST(Preemption, GainedPriorityTakesNobodysSlot) {
  ClusterState state = Slots(1);
  state.aging_interval = absl::Minutes(10);
  const std::vector<QueuedJob> jobs = {{"patient", 10, 0, "", kNow - absl::Hours(10)}, {"important", 20, 5, "", kNow}};
  EXPECT_THAT(Place(jobs, {{"r", 1, 0}}, state).preempt, IsEmpty()) << "the slot would be the patient one's, and that displaces nobody";
}

TEST(Preemption, NotWhileDraining) {
  ClusterState state = Slots(1);
  state.draining = true;
  EXPECT_THAT(Place({{"h", 9, 5}}, {{"r", 1, 0}}, state).preempt, IsEmpty());
}

TEST(Prediction, FollowsWhatRunningJobsSay) {
  const std::vector<RunningJob> running = {{"slow", 1, 0, false, absl::Seconds(90)}, {"fast", 2, 0, false, absl::Seconds(30)}};
  const Placement placement = Place(kThree, running, Slots(2));
  EXPECT_EQ(placement.waiting[0].predicted_start, kNow + absl::Seconds(30));
  EXPECT_EQ(placement.waiting[1].predicted_start, kNow + absl::Seconds(90));
  EXPECT_EQ(placement.waiting[2].predicted_start, absl::InfiniteFuture()) << "how long those ahead of it will take is not known";
  EXPECT_EQ(Place(kThree, {{"r", 1}}, Slots(1)).waiting[0].predicted_start, absl::InfiniteFuture());
}

TEST(ProjectUsageTest, HalvesInAnHour) {
  ProjectUsage usage;
  usage.Add("a", absl::Seconds(100), kNow);
  usage.Add("a", absl::Seconds(20), kNow);
  EXPECT_NEAR(usage.Seconds(kNow)["a"], 120, 1e-9);
  EXPECT_NEAR(usage.Seconds(kNow + absl::Hours(1))["a"], 60, 1e-9);
  usage.Add("a", absl::Seconds(40), kNow + absl::Hours(1));
  EXPECT_NEAR(usage.Seconds(kNow + absl::Hours(2))["a"], 50, 1e-9);
  EXPECT_NEAR(usage.Seconds(kNow)["a"], 100, 1e-9) << "a clock that was set back makes nobody owe more";
}

// 1,000 jobs of three projects, one of which has most of them, with three priorities, on two slots, to the end.
TEST(Placement, AThousandJobsStartByPriorityThenProjectThenAge) {
  std::vector<QueuedJob> queued;
  for (int i = 0; i < 1000; ++i) {
    const std::string project = i % 10 < 6 ? "large" : i % 10 < 9 ? "middle" : "small";
    queued.push_back({"j" + std::to_string(i), i, (i / 10) % 3, project});
  }
  ProjectUsage usage;
  absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  std::vector<std::pair<QueuedJob, absl::Time>> running;  // with its end
  int started = 0;
  for (int round = 0; !queued.empty() || !running.empty(); ++round) {
    std::vector<RunningJob> holding;
    for (const auto& [job, end] : running) holding.push_back({.id = job.id, .order = job.order, .priority = job.priority, .left = end - now});
    const std::map<std::string, double> seconds = usage.Seconds(now);
    // One worker at a time, so that each start can be judged by itself.
    const Placement placement = Place(queued, holding, {.job_slots = 2, .idle_workers = 1, .now = now, .project_seconds = seconds});
    ASSERT_EQ(placement.start.size() + placement.waiting.size(), queued.size());
    if (!placement.start.empty()) {
      ASSERT_EQ(placement.start.size(), 1u);
      const auto chosen = std::find_if(queued.begin(), queued.end(), [&](const QueuedJob& job) { return job.id == placement.start[0].id; });
      const auto had = [&](const QueuedJob& job) { return seconds.count(job.project) == 0 ? 0 : seconds.at(job.project); };
      for (const QueuedJob& other : queued) {
        if (other.priority < chosen->priority) continue;
        ASSERT_FALSE(other.priority > chosen->priority || std::pair(had(other), other.order) < std::pair(had(*chosen), chosen->order)) << chosen->id << " before " << other.id;
      }
      ++started;
      running.emplace_back(*chosen, now + absl::Seconds(30 + round * 7 % 60));
      queued.erase(chosen);
      continue;
    }
    // The next of them ends.
    const auto first = std::min_element(running.begin(), running.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    for (const auto& [job, end] : running) usage.Add(job.project, first->second - now, first->second);
    now = first->second;
    running.erase(first);
  }
  EXPECT_EQ(started, 1000);
}

}  // namespace
}  // namespace attune::scheduler
