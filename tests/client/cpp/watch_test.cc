#include "client/cpp/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/cpp/fake_server.h"

namespace attune::client {
namespace {

using ::testing::ElementsAre;

constexpr char kJob[] = "fineTuningJobs/j1";

v1::JobEvent Event(int64_t sequence, bool terminal = false) {
  v1::JobEvent event;
  event.set_sequence(sequence);
  if (terminal) event.mutable_state_changed()->set_terminal(true);
  return event;
}

v1::WatchFineTuningJobResponse Message(int64_t sequence, bool terminal = false) {
  v1::WatchFineTuningJobResponse message;
  *message.mutable_event() = Event(sequence, terminal);
  return message;
}

v1::WatchFineTuningJobResponse Heartbeat() {
  v1::WatchFineTuningJobResponse message;
  message.mutable_heartbeat();
  return message;
}

v1::WatchFineTuningJobResponse Lagged(int64_t dropped) {
  v1::WatchFineTuningJobResponse message;
  message.mutable_lagged()->set_dropped(dropped);
  return message;
}

class WatchTest : public ::testing::Test {
 protected:
  absl::Status Watch(WatchOptions options = {}) {
    return WatchJob(*client_, kJob, options, [this](const v1::JobEvent& event) {
      seen_.push_back(event.sequence());
      return event.sequence() != stop_at_;
    });
  }

  FakeServer server_;
  std::unique_ptr<Client> client_ = server_.Connect();
  std::vector<int64_t> seen_;
  int64_t stop_at_ = -1;
};

TEST_F(WatchTest, EndsWithTheTerminalEvent) {
  server_.jobs.streams = {{{Message(1), Heartbeat(), Message(2), Message(3, true)}}};
  EXPECT_TRUE(Watch().ok());
  EXPECT_THAT(seen_, ElementsAre(1, 2, 3));
  EXPECT_EQ(server_.jobs.watched_after.size(), 1u);
}

TEST_F(WatchTest, WhatAWaitingJobWaitsForIsToldAndIsNoEvent) {
  v1::WatchFineTuningJobResponse waiting;
  waiting.mutable_waiting()->set_jobs_ahead(4);
  server_.jobs.streams = {{{Message(1), waiting, Message(2, true)}}};
  std::vector<int> ahead;
  EXPECT_TRUE(Watch({.on_waiting = [&](const v1::FineTuningJob& job) { ahead.push_back(job.jobs_ahead()); }}).ok());
  EXPECT_THAT(seen_, ElementsAre(1, 2));
  EXPECT_THAT(ahead, ElementsAre(4));
}

TEST_F(WatchTest, ACutStreamGoesOnAfterTheLastEventAndRepeatsNothing) {
  server_.jobs.streams = {
      {{Message(1), Message(2)}, Unavailable()},
      {{Message(2), Message(1), Message(3)}, {grpc::StatusCode::INTERNAL, "RST_STREAM"}},  // a server that repeats
      {{Message(4), Message(5, true), Message(6)}},
  };
  std::vector<std::string> cuts;
  EXPECT_TRUE(Watch({.on_cut = [&](const absl::Status& status) { cuts.emplace_back(status.message()); }}).ok());
  EXPECT_THAT(seen_, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(server_.jobs.watched_after, ElementsAre(0, 2, 3));
  EXPECT_THAT(cuts, ElementsAre("connection reset", "RST_STREAM"));
}

TEST_F(WatchTest, AStreamThatEndsInOrderBeforeTheJobDoesIsACut) {
  server_.jobs.streams = {{{Message(1)}}, {{}}, {{Message(2, true)}}};
  EXPECT_TRUE(Watch().ok());
  EXPECT_THAT(seen_, ElementsAre(1, 2));
  EXPECT_EQ(server_.sleeps.size(), 2u);
}

TEST_F(WatchTest, DroppedEventsAreFetched) {
  for (int i = 1; i <= 6; ++i) server_.jobs.stored.push_back(Event(i));
  server_.jobs.list_events.Fail(Unavailable());
  server_.jobs.streams = {{{Message(1), Lagged(3), Message(5), Message(6), Message(7, true)}}};
  EXPECT_TRUE(Watch().ok());
  EXPECT_THAT(seen_, ElementsAre(1, 2, 3, 4, 5, 6, 7));
}

TEST_F(WatchTest, AGapThatNobodyCanFillIsSkipped) {
  server_.jobs.streams = {{{Message(1), Message(5, true)}}};
  EXPECT_TRUE(Watch().ok());
  EXPECT_THAT(seen_, ElementsAre(1, 5));
}

TEST_F(WatchTest, AFailureToFillAGapIsReported) {
  server_.jobs.list_events.Fail(FakeError{grpc::StatusCode::NOT_FOUND, "deleted"}.ToStatus());
  server_.jobs.streams = {{{Message(1), Message(5)}}};
  EXPECT_EQ(Watch().code(), absl::StatusCode::kNotFound);
}

TEST_F(WatchTest, StartsAfterWhatTheCallerHas) {
  server_.jobs.streams = {{{Message(7), Message(8), Message(9, true)}}};
  EXPECT_TRUE(Watch({.after_sequence = 7}).ok());
  EXPECT_THAT(server_.jobs.watched_after, ElementsAre(7));
  EXPECT_THAT(seen_, ElementsAre(8, 9));
}

TEST_F(WatchTest, TheCallerMayStop) {
  stop_at_ = 2;
  server_.jobs.streams = {{{Message(1), Message(2), Message(3)}, grpc::Status::OK, true}};
  EXPECT_TRUE(Watch().ok());
  EXPECT_THAT(seen_, ElementsAre(1, 2));
}

TEST_F(WatchTest, GivesUpWhenTheServerStaysAway) {
  server_.jobs.streams = {{{Message(1)}, Unavailable()}};
  EXPECT_EQ(Watch({.max_attempts = 4}).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server_.jobs.watched_after.size(), 4u) << "the first brought something but counts as a try when it is cut";
}

TEST_F(WatchTest, AnUnknownJobIsAnErrorAtOnce) {
  server_.jobs.streams = {{{}, FakeError{grpc::StatusCode::NOT_FOUND, "no such job"}.ToStatus()}};
  EXPECT_EQ(Watch().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(server_.sleeps.empty());
}

TEST_F(WatchTest, ASilentStreamIsCutAndContinued) {
  ClientOptions options = server_.Options();
  options.stall_timeout_seconds = 0.05;
  client_ = server_.Connect(options);
  server_.jobs.streams = {{{Message(1)}, grpc::Status::OK, true}, {{Message(2, true)}}};
  std::string cut;
  EXPECT_TRUE(Watch({.on_cut = [&](const absl::Status& status) { cut = std::string(status.message()); }}).ok());
  EXPECT_THAT(seen_, ElementsAre(1, 2));
  EXPECT_EQ(cut, "nothing came from the server for 50ms");
}

TEST_F(WatchTest, WaitReturnsTheJob) {
  server_.jobs.jobs[kJob].set_state(v1::FineTuningJob::STATE_FAILED);
  server_.jobs.streams = {{{Message(1, true)}}};
  auto job = WaitForJob(*client_, kJob);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->state(), v1::FineTuningJob::STATE_FAILED);
}

}  // namespace
}  // namespace attune::client
