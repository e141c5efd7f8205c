// What is asked for at each scrape, and readiness.
#include <fstream>
#include <map>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/base/files.h"
#include "server/main/gauges/scheduler_gauges.h"
#include "server/main/gauges/storage_gauges.h"
#include "server/main/gauges/watch_gauges.h"
#include "server/main/readiness.h"
#include "server/metrics/metric_names.h"
#include "tests/fakes/fake_scheduler.h"
#include "tests/fakes/fault_injecting_files.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_artifact_store.h"
#include "tests/fakes/memory_job_store.h"

namespace attune {
namespace {

// "name{label=value,...}" -> value.
std::map<std::string, double> Series(const prometheus::Collectable& source) {
  EXPECT_TRUE(metrics::CheckMetricNames(source).ok()) << metrics::CheckMetricNames(source);
  std::map<std::string, double> series;
  for (const prometheus::MetricFamily& family : source.Collect()) {
    for (const prometheus::ClientMetric& metric : family.metric) {
      std::string name = family.name;
      for (const auto& label : metric.label) name += "," + label.name + "=" + label.value;
      series[name] = metric.gauge.value;
    }
  }
  return series;
}

TEST(SchedulerGaugesTest, WhatTheSchedulerSays) {
  FakeScheduler scheduler;
  scheduler.counts = {.job_slots = 2,
                      .running = 1,
                      .queued = 3,
                      .idle_workers = 1,
                      .starting_workers = 2,
                      .busy_workers = 4,
                      .queues = {{"photos", "low", 3, absl::Seconds(90)}},
                      .oldest_checkpoint = absl::Seconds(7)};
  const std::map<std::string, double> expected = {{"attune_job_slots", 2},
                                                  {"attune_jobs_running", 1},
                                                  {"attune_jobs_queued,priority=low,project=photos", 3},
                                                  {"attune_jobs_longest_wait_seconds,priority=low,project=photos", 90},
                                                  {"attune_workers,state=starting", 2},
                                                  {"attune_workers,state=idle", 1},
                                                  {"attune_workers,state=busy", 4},
                                                  {"attune_checkpoint_oldest_seconds", 7}};
  SchedulerGauges gauges(scheduler);
  EXPECT_EQ(Series(gauges), expected);
  scheduler.counts.queues = {{"mails", "high", 1, absl::Seconds(5)}};
  std::map<std::string, double> later = Series(gauges);
  EXPECT_EQ(later.at("attune_jobs_queued,priority=high,project=mails"), 1);
  EXPECT_EQ(later.at("attune_jobs_queued,priority=low,project=photos"), 0) << "a graph would end at 3";
  EXPECT_EQ(later.at("attune_jobs_longest_wait_seconds,priority=low,project=photos"), 0);
  scheduler.counts.queues.clear();
  EXPECT_EQ(Series(SchedulerGauges(scheduler)).at("attune_jobs_queued,priority=normal,project="), 0) << "0 is not nothing";
}

TEST(StorageGaugesTest, BytesByKindAndAFileWithTwoNamesOnce) {
  TemporaryDirectory directory;
  const auto write = [&](const std::string& path, size_t bytes) {
    ASSERT_TRUE(Files::Posix().CreateDirectories(directory.path() + "/" + path.substr(0, path.rfind('/'))).ok());
    std::ofstream(directory.path() + "/" + path) << std::string(bytes, 'x');
  };
  write("models/m1/model.safetensors", 8192);
  write("jobs/j1/checkpoints/step-1/model.safetensors", 65536);
  ASSERT_TRUE(Files::Posix().CreateDirectories(directory.path() + "/artifacts/blobs").ok());
  ASSERT_TRUE(Files::Posix().Link(directory.path() + "/models/m1/model.safetensors", directory.path() + "/artifacts/blobs/b").ok());
  std::ofstream(directory.path() + "/attune.db") << std::string(4096, 'x');
  MemoryArtifactStore artifacts;
  artifacts.Put("half", "half.csv", "x", /*complete=*/false);
  StorageGauges gauges(directory.path(), artifacts, Files::Posix());
  gauges.Measure();
  std::map<std::string, double> series = Series(gauges);
  EXPECT_EQ(series["attune_stored_bytes,kind=models"], 8192);
  EXPECT_EQ(series["attune_stored_bytes,kind=checkpoints"], 65536);
  EXPECT_EQ(series["attune_stored_bytes,kind=uploads"], 0) << "the model has it";
  EXPECT_EQ(series["attune_stored_bytes,kind=datasets"], 0);
  EXPECT_EQ(series["attune_stored_bytes,kind=database"], 4096);
  EXPECT_GT(series["attune_disk_free_bytes"], 0);
  EXPECT_GE(series["attune_disk_bytes"], series["attune_disk_free_bytes"]);
  EXPECT_EQ(series["attune_uploads_open"], 1);
}

TEST(WatchGaugesTest, WatchersAndHowFarBehindTheyAre) {
  ManualClock clock;
  jobs::MemoryJobStore store;
  std::unique_ptr<jobs::JobEventLog> log = jobs::JobEventLog::Create(store, clock).value();
  const auto say = [&] {
    v1::JobEvent event;
    event.mutable_log_line()->set_text("line");
    log->Append("j1", event);
    ASSERT_TRUE(log->Flush().ok());
  };
  say();
  WatchGauges gauges(*log);
  EXPECT_EQ(Series(gauges)["attune_watchers"], 0);
  auto quick = log->Subscribe("j1", 0, [] {}).value();
  auto slow = log->Subscribe("j1", 0, [] {}).value();
  say();
  say();
  size_t taken = 0;
  for (size_t more = 1; more > 0; taken += more) more = quick->Take(10)->size();
  EXPECT_EQ(taken, 3u);
  EXPECT_EQ(slow->Take(1)->size(), 1u);
  EXPECT_EQ(Series(gauges)["attune_watchers"], 2);
  EXPECT_EQ(Series(gauges)["attune_watch_behind_events"], 2);
  slow = nullptr;
  EXPECT_EQ(Series(gauges)["attune_watchers"], 1);
  EXPECT_EQ(Series(gauges)["attune_watch_behind_events"], 0);
}

TEST(ReadinessTest, FollowsTheStoreAndTheDiskAndSpeaksOfChangesOnly) {
  TemporaryDirectory directory;
  ManualClock clock;
  jobs::MemoryJobStore store;
  std::unique_ptr<jobs::JobEventLog> log = jobs::JobEventLog::Create(store, clock).value();
  std::vector<bool> said;
  const auto follow = [&](bool ready) { said.push_back(ready); };
  Readiness readiness({.log = *log, .files = Files::Posix(), .directory = directory.path(), .least_free_bytes = 1}, follow);
  readiness.Check();
  EXPECT_TRUE(readiness.ready());
  const auto say = [&] {
    v1::JobEvent event;
    event.mutable_log_line()->set_text("line");
    log->Append("j1", event);
    log->Flush().IgnoreError();
  };
  store.FailCommits(absl::ResourceExhaustedError("disk full"));
  say();
  readiness.Check();
  readiness.Check();
  EXPECT_FALSE(readiness.ready());
  store.ClearFault();
  say();
  readiness.Check();
  EXPECT_EQ(said, (std::vector<bool>{false, true}));
  // The one who failed is gone, and nobody writes.
  store.FailCommits(absl::ResourceExhaustedError("disk full"));
  say();
  EXPECT_TRUE(log->Flush().ok()) << "nothing to store";
  readiness.Check();
  EXPECT_FALSE(readiness.ready()) << "which says nothing about the store";
  clock.Advance(absl::Minutes(1));
  readiness.Check();
  EXPECT_TRUE(readiness.ready()) << "only somebody who writes can find out whether it has recovered";
  Readiness full({.log = *log, .files = Files::Posix(), .directory = directory.path(), .least_free_bytes = int64_t{1} << 62}, follow);
  full.Check();
  EXPECT_FALSE(full.ready());
  Readiness gone({.log = *log, .files = Files::Posix(), .directory = directory.path() + "/none", .least_free_bytes = 1}, follow);
  gone.Check();
  EXPECT_FALSE(gone.ready());
}

}  // namespace
}  // namespace attune
