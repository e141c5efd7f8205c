// Who runs beside whom on a device, by memory.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/scheduler/policy/device_room.h"
#include "server/scheduler/policy/placement_policy.h"

namespace attune::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kGibibyte = int64_t{1} << 30;
const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

struct Job {
  std::string id;
  std::optional<int64_t> memory_bytes;
  int priority = 0;
  std::string device = "cpu";
};

QueuedJob Queued(const Job& job, int64_t order) {
  return {.id = job.id, .order = order, .priority = job.priority, .device = job.device, .memory_bytes = job.memory_bytes};
}
RunningJob Running(const Job& job, int64_t order, bool leaving = false) {
  return {.id = job.id, .order = order, .priority = job.priority, .leaving = leaving, .device = job.device, .memory_bytes = job.memory_bytes};
}
std::vector<QueuedJob> Queued(const std::vector<Job>& jobs) {
  std::vector<QueuedJob> queued;
  for (const Job& job : jobs) queued.push_back(Queued(job, 100 + static_cast<int64_t>(queued.size())));
  return queued;
}
std::vector<RunningJob> Running(const std::vector<Job>& jobs) {
  std::vector<RunningJob> running;
  for (const Job& job : jobs) running.push_back(Running(job, static_cast<int64_t>(running.size())));
  return running;
}
ClusterState Machine(std::vector<DeviceMemory> devices = {{"cpu", 4 * kGibibyte}}, int slots = 8) {
  return {.job_slots = slots, .idle_workers = 9, .now = kNow, .devices = std::move(devices)};
}
std::vector<std::string> Starts(const Placement& placement) {
  std::vector<std::string> starts;
  for (const Started& each : placement.start) starts.push_back(each.id + " on " + each.device);
  return starts;
}
std::vector<std::string> Waits(const Placement& placement) {
  std::vector<std::string> ids;
  for (const Waiting& each : placement.waiting) ids.push_back(each.id);
  return ids;
}
std::vector<std::string> Pairs(const Placement& placement) {
  std::vector<std::string> pairs;
  for (const Preempted& each : placement.preempt) pairs.push_back(each.id + " by " + each.by);
  return pairs;
}

TEST(Sharing, JobsStartBesideOthersWhileTheirMemoryAddsUp) {
  const Placement placement = Place(Queued(std::vector<Job>{{"a", kGibibyte}, {"b", 2 * kGibibyte}}), Running(std::vector<Job>{{"r", kGibibyte}}), Machine());
  EXPECT_THAT(Starts(placement), ElementsAre("a on cpu", "b on cpu"));
  EXPECT_THAT(placement.waiting, IsEmpty());
}

TEST(Sharing, OneThatDoesNotFitWaitsAndSaysWhatItNeeds) {
  const Placement placement = Place(Queued(std::vector<Job>{{"a", 3 * kGibibyte}}), Running(std::vector<Job>{{"r", 2 * kGibibyte}}), Machine());
  EXPECT_THAT(placement.start, IsEmpty());
  EXPECT_EQ(placement.blocking_resource, "memory");
  EXPECT_EQ(placement.reason, "waits for memory of cpu: needs 3.0 GiB, and of 4.0 GiB the running jobs leave 2.0 GiB");
  EXPECT_THAT(placement.measure, IsEmpty());
}

TEST(Sharing, NoneOvertakesOnADevice) {
  const Placement placement = Place(Queued(std::vector<Job>{{"large", 3 * kGibibyte}, {"small", kGibibyte}}), Running(std::vector<Job>{{"r", 2 * kGibibyte}}), Machine());
  EXPECT_THAT(placement.start, IsEmpty()) << "small ones would keep the large one waiting for ever";
  EXPECT_THAT(Waits(placement), ElementsAre("large", "small"));
}

TEST(Sharing, AnotherDeviceIsAnotherQueue) {
  const Placement placement = Place(Queued(std::vector<Job>{{"large", 3 * kGibibyte}, {"elsewhere", kGibibyte, 0, "cuda:0"}}), Running(std::vector<Job>{{"r", 2 * kGibibyte}}),
                                    Machine({{"cpu", 4 * kGibibyte}, {"cuda:0", 4 * kGibibyte}}));
  EXPECT_THAT(Starts(placement), ElementsAre("elsewhere on cuda:0"));
  EXPECT_EQ(placement.blocking_resource, "memory") << "what the first of the waiting waits for";
}

TEST(Sharing, AJobAloneStartsWhateverItNeeds) {
  EXPECT_THAT(Starts(Place(Queued(std::vector<Job>{{"huge", 9 * kGibibyte}, {"next", kGibibyte}}), {}, Machine())), ElementsAre("huge on cpu"));
  EXPECT_THAT(Starts(Place(Queued(std::vector<Job>{{"unknown", {}}}), {}, Machine())), ElementsAre("unknown on cpu"));
  const Placement beside = Place(Queued(std::vector<Job>{{"huge", 9 * kGibibyte}}), Running(std::vector<Job>{{"r", kGibibyte}}), Machine());
  EXPECT_EQ(beside.reason, "waits until it has cpu to itself");
}

TEST(Sharing, WhatIsNotKnownIsMeasuredTheWaitingJobFirst) {
  const Placement placement = Place(Queued(std::vector<Job>{{"a", {}}, {"b", {}}}), Running(std::vector<Job>{{"r", {}}, {"s", kGibibyte}, {"t", {}}}), Machine());
  EXPECT_THAT(placement.start, IsEmpty());
  EXPECT_THAT(placement.measure, ElementsAre("a", "r", "t")) << "b can wait";
  EXPECT_EQ(placement.blocking_resource, "plan");
  EXPECT_THAT(placement.reason, HasSubstr("until a plan has measured whether it fits beside what runs on cpu"));
  EXPECT_THAT(Place(Queued(std::vector<Job>{{"a", kGibibyte}}), Running(std::vector<Job>{{"r", {}}}), Machine()).measure, ElementsAre("r"));
}

TEST(Sharing, NothingIsMeasuredThatDecidesNothing) {
  const Placement full = Place(Queued(std::vector<Job>{{"a", {}}}), Running(std::vector<Job>{{"r", 4 * kGibibyte}}), Machine());
  EXPECT_THAT(full.measure, IsEmpty());
  EXPECT_EQ(full.reason, "waits for memory of cpu: of 4.0 GiB the running jobs leave 0.0 MiB");
  EXPECT_THAT(Place(Queued(std::vector<Job>{{"a", {}}}), Running(std::vector<Job>{{"r", {}}}), Machine({{"cpu", 4 * kGibibyte}}, /*slots=*/1)).measure, IsEmpty()) << "no slot is free";
  ClusterState draining = Machine();
  draining.draining = true;
  EXPECT_THAT(Place(Queued(std::vector<Job>{{"a", {}}}), Running(std::vector<Job>{{"r", {}}}), draining).measure, IsEmpty());
}

TEST(Sharing, OneThatCannotBeMeasuredRunsAlone) {
  EXPECT_THAT(Place(Queued(std::vector<Job>{{"a", kWholeDevice}}), Running(std::vector<Job>{{"r", kGibibyte}}), Machine()).start, IsEmpty());
  EXPECT_THAT(Place(Queued(std::vector<Job>{{"a", kGibibyte}}), Running(std::vector<Job>{{"r", kWholeDevice}}), Machine()).start, IsEmpty());
  EXPECT_THAT(Place(Queued(std::vector<Job>{{"a", kWholeDevice}}), Running(std::vector<Job>{{"r", kWholeDevice}, {"s", kWholeDevice}}), Machine()).start, IsEmpty()) << "the sum is no overflow";
  EXPECT_THAT(Starts(Place(Queued(std::vector<Job>{{"a", kWholeDevice}}), {}, Machine())), ElementsAre("a on cpu"));
}

TEST(Sharing, MemoryIsNoMatterWhereADeviceHasNone) {
  EXPECT_THAT(Starts(Place(Queued(std::vector<Job>{{"a", {}}}), Running(std::vector<Job>{{"r", {}}}), Machine({{"cpu", 0}}))), ElementsAre("a on cpu"));
  EXPECT_THAT(Starts(Place(Queued(std::vector<Job>{{"a", {}}}), Running(std::vector<Job>{{"r", {}}}), Machine({}))), ElementsAre("a on cpu"));
}

TEST(Sharing, AnyGpuIsTheOneWithTheFewestJobsAndThenTheMostRoom) {
  const std::vector<DeviceMemory> gpus = {{"cpu", kGibibyte}, {"cuda:0", 4 * kGibibyte}, {"cuda:1", 8 * kGibibyte}, {"cuda:2", 4 * kGibibyte}};
  const std::vector<Job> four = {{"a", kGibibyte, 0, "cuda"}, {"b", kGibibyte, 0, "cuda"}, {"c", kGibibyte, 0, "cuda"}, {"d", kGibibyte, 0, "cuda"}};
  EXPECT_THAT(Starts(Place(Queued(four), {}, Machine(gpus))), ElementsAre("a on cuda:1", "b on cuda:0", "c on cuda:2", "d on cuda:1"));
  const std::vector<Job> full = {{"r", 4 * kGibibyte, 0, "cuda:0"}, {"s", 8 * kGibibyte, 0, "cuda:1"}, {"t", {}, 0, "cuda:2"}};
  const Placement placement = Place(Queued(std::vector<Job>{{"a", kGibibyte, 0, "cuda"}, {"b", kGibibyte, 0, "cuda:2"}}), Running(full), Machine(gpus));
  EXPECT_THAT(placement.measure, ElementsAre("t")) << "the only one that may have room";
  EXPECT_THAT(Waits(placement), ElementsAre("a", "b")) << "the first may go there, so the second must not before it";
  EXPECT_THAT(Starts(Place(Queued(four), {}, Machine({{"cuda:0", 0}, {"cuda:1", 0}}))), ElementsAre("a on cuda:0", "b on cuda:1", "c on cuda:0", "d on cuda:1"));
}

TEST(Sharing, TheLeastImportantGiveWayForMemoryAndNoMoreThanIsNeeded) {
  const std::vector<Job> running = {{"important", kGibibyte, 9}, {"old", kGibibyte, 0}, {"young", kGibibyte, 0}, {"elsewhere", kGibibyte, 0, "cuda:0"}};
  EXPECT_THAT(Pairs(Place(Queued(std::vector<Job>{{"h", 2 * kGibibyte, 5}}), Running(running), Machine())), ElementsAre("young by h"));
  EXPECT_THAT(Pairs(Place(Queued(std::vector<Job>{{"h", 3 * kGibibyte, 5}}), Running(running), Machine())), ElementsAre("young by h", "old by h"));
  EXPECT_THAT(Pairs(Place(Queued(std::vector<Job>{{"h", 4 * kGibibyte, 5}}), Running(running), Machine())), IsEmpty()) << "it would not fit beside the important one";
  EXPECT_THAT(Pairs(Place(Queued(std::vector<Job>{{"h", 2 * kGibibyte, 0}}), Running(running), Machine())), IsEmpty()) << "of the same priority";
  std::vector<RunningJob> leaves = Running(running);
  leaves[1].leaving = true;
  EXPECT_THAT(Pairs(Place(Queued(std::vector<Job>{{"h", 2 * kGibibyte, 5}}), leaves, Machine())), IsEmpty()) << "enough comes free anyway";
}

}  // namespace
}  // namespace attune::scheduler
