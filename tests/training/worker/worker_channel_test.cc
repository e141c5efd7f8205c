#include "server/training/worker/worker_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"
#include "server/training/worker/channel_reporter.h"
#include "tests/training/worker/fake_server.h"

namespace attune::training {
namespace {

const AttemptFence kAttempt = {"fineTuningJobs/j", 1};

std::unique_ptr<WorkerChannel> Dial(const FakeServer& server, absl::Duration heartbeat = absl::Hours(1), std::function<void()> on_lost = [] {}) {
  auto channel = WorkerChannel::Connect(
      {.server = server.address(), .worker_id = "w1", .secret = "s3cret", .heartbeat_interval = heartbeat, .on_lost = std::move(on_lost)});
  EXPECT_TRUE(channel.ok()) << channel.status();
  return channel.ok() ? *std::move(channel) : nullptr;
}

FakeServer::Response Assign() {
  FakeServer::Response message;
  message.mutable_assign()->mutable_fence()->set_job(kAttempt.job);
  message.mutable_assign()->mutable_fence()->set_attempt(kAttempt.attempt);
  message.mutable_assign()->set_model_dir("/m");
  return message;
}

FakeServer::Response Cancel(int attempt) {
  FakeServer::Response message;
  message.mutable_cancel()->mutable_fence()->set_job(kAttempt.job);
  message.mutable_cancel()->mutable_fence()->set_attempt(attempt);
  return message;
}

FakeServer::Response Shutdown() {
  FakeServer::Response message;
  message.mutable_shutdown();
  return message;
}

FakeServer::Response Predict(int64_t request) {
  FakeServer::Response message;
  message.mutable_predict()->set_request(request);
  return message;
}

TEST(WorkerChannel, SaysHelloFirst) {
  FakeServer server;
  auto channel = Dial(server);
  const auto hello = server.WaitFor([](const auto&) { return true; });
  EXPECT_EQ(hello.hello().worker_id(), "w1");
  EXPECT_EQ(hello.hello().secret(), "s3cret");
  EXPECT_EQ(hello.hello().pid(), getpid());
}

TEST(WorkerChannel, NobodyThereIsAnError) {
  auto channel = WorkerChannel::Connect({.server = "unix:/nowhere/w.sock", .worker_id = "w", .connect_timeout = absl::Milliseconds(50)});
  EXPECT_EQ(channel.status().code(), absl::StatusCode::kUnavailable);
}

TEST(WorkerChannel, CommandsComeInOrderAndShutdownComesFirst) {
  FakeServer server;
  auto channel = Dial(server);
  server.Send(Assign());
  server.Send(Predict(4));
  EXPECT_EQ(std::get<AssignCommand>(channel->NextCommand()).paths.model_dir, "/m");
  EXPECT_EQ(std::get<PredictCommand>(channel->NextCommand()).request, 4);
  server.Send(Shutdown());
  EXPECT_TRUE(std::holds_alternative<ShutdownCommand>(channel->NextCommand()));
  EXPECT_TRUE(std::holds_alternative<ShutdownCommand>(channel->NextCommand()));
}

// Commands of one stream are handled in order: when a later one is here, the earlier one has been heeded.
TEST(WorkerChannel, CancelIsForItsAttemptOnly) {
  FakeServer server;
  auto channel = Dial(server);
  EXPECT_EQ(channel->Stop(kAttempt), StopRequest::kNone);
  server.Send(Cancel(7));
  server.Send(Predict(1));
  channel->NextCommand();
  EXPECT_EQ(channel->Stop(kAttempt), StopRequest::kNone);
  server.Send(Cancel(1));
  server.Send(Predict(2));
  channel->NextCommand();
  EXPECT_EQ(channel->Stop(kAttempt), StopRequest::kCancel);
  server.Send(Shutdown());
  channel->NextCommand();
  EXPECT_EQ(channel->Stop(kAttempt), StopRequest::kCancel);
  EXPECT_EQ(channel->Stop({"fineTuningJobs/other", 1}), StopRequest::kPreempt);
}

class FixedMemory final : public MemoryMeter {
 public:
  int64_t InUseBytes() override { return 100; }
  int64_t PeakBytes() override { return 200; }
  void ResetPeak() override {}
  int64_t LimitBytes() override { return 0; }
  bool CountsFiles() const override { return false; }
};

TEST(WorkerChannel, ReportsArriveInOrderWithTheirFence) {
  FakeServer server;
  auto channel = Dial(server);
  {
    FixedMemory memory;
    ChannelReporter reporter(*channel, kAttempt, memory);
    reporter.Started(3, "cpu", 2);
    reporter.Phase({"head", 0, 1, 2});
    for (int step = 4; step < 1004; ++step) {
      reporter.Step(step);
      reporter.Metrics({step, 0.5, "head", {{"loss", 1.0}}});
    }
    reporter.Evaluation({1003, "validation", 10, {}, {}, {}, false});
    reporter.CheckpointWritten({1003, "step-1003", {}, true});
    reporter.LogLine("well");
    EXPECT_EQ(reporter.step(), 1003);
  }
  channel->Send(kAttempt, JobResult{.best_step = 1003});
  channel->Close();
  server.WaitUntilEnded();
  const auto messages = server.messages();
  ASSERT_EQ(messages.size(), 1u + 2 + 1000 + 4);
  EXPECT_EQ(messages[1].started().resumed_from_step(), 3);
  EXPECT_TRUE(messages[2].has_phase_started());
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(messages[3 + i].metrics().step(), 4 + i);
  EXPECT_TRUE(messages[1003].has_evaluation());
  EXPECT_TRUE(messages[1004].has_checkpoint_written());
  EXPECT_EQ(messages[1005].log_line().text(), "well");
  EXPECT_EQ(messages[1006].finished().best_step(), 1003);
  for (size_t i = 1; i < messages.size(); ++i) {
    EXPECT_EQ(messages[i].fence().job(), kAttempt.job);
    EXPECT_EQ(messages[i].fence().attempt(), 1);
  }
}

TEST(WorkerChannel, HeartbeatsGoOutByThemselves) {
  FakeServer server;
  auto channel = Dial(server, absl::Milliseconds(1));
  channel->SetStep(12);
  const auto beats = server.WaitForAll([](const auto& m) { return m.has_heartbeat() && m.heartbeat().step() == 12; }, 3);
  EXPECT_GT(beats[2].heartbeat().rss_bytes(), 1 << 20);
  EXPECT_FALSE(beats[2].has_fence());
}

TEST(WorkerChannel, ALostStreamIsNoticed) {
  FakeServer server;
  absl::Notification lost;
  auto channel = Dial(server, absl::Milliseconds(1), [&] { lost.Notify(); });
  server.WaitFor([](const auto& m) { return m.has_hello(); });
  server.Cut();
  lost.WaitForNotification();
  EXPECT_TRUE(std::holds_alternative<ShutdownCommand>(channel->NextCommand()));
  channel->Send(kAttempt, JobResult{});  // goes nowhere, and does no harm
}

TEST(WorkerChannel, ClosingIsNotLosing) {
  FakeServer server;
  bool lost = false;
  auto channel = Dial(server, absl::Hours(1), [&] { lost = true; });
  channel->Close();
  channel->Close();
  channel.reset();
  server.WaitUntilEnded();
  EXPECT_FALSE(lost);
}

TEST(WorkerChannel, Predictions) {
  FakeServer server;
  auto channel = Dial(server);
  channel->SendPrediction(3, std::vector<PredictionOutput>{{.value = 2}, {.value = 4}});
  channel->SendPrediction(4, FailureReport{.code = 3, .message = "no"});
  const auto answers = server.WaitForAll([](const auto& m) { return m.has_predict_done(); }, 2);
  EXPECT_EQ(answers[0].predict_done().request(), 3);
  EXPECT_EQ(answers[0].predict_done().predictions(1).value(), 4);
  EXPECT_EQ(answers[1].predict_done().error(), "no");
  EXPECT_EQ(answers[1].predict_done().code(), 3);
}

TEST(WorkerChannel, Evaluations) {
  FakeServer server;
  auto channel = Dial(server);
  FakeServer::Response command;
  command.mutable_evaluate()->set_request(5);
  command.mutable_evaluate()->set_dataset_dir("/d");
  server.Send(command);
  EXPECT_EQ(std::get<EvaluateCommand>(channel->NextCommand()).evaluation.dataset_dir, "/d");
  for (int64_t rows = 0; rows < 1000; ++rows) channel->SendEvaluationProgress(5, rows, 1000);
  EvaluationOutput output;
  output.training_rows = 7;
  channel->SendEvaluation(5, output);
  channel->SendEvaluation(6, FailureReport{.code = 3, .message = "no"});
  const auto answers = server.WaitForAll([](const auto& m) { return m.has_evaluate_done(); }, 2);
  EXPECT_EQ(answers[0].evaluate_done().request(), 5);
  EXPECT_EQ(answers[0].evaluate_done().result().training_rows(), 7);
  EXPECT_EQ(answers[1].evaluate_done().error(), "no");
  EXPECT_EQ(answers[1].evaluate_done().code(), 3);
  std::vector<int64_t> rows;
  for (const auto& message : server.messages()) {
    if (!message.has_evaluate_progress()) continue;
    EXPECT_EQ(message.evaluate_progress().request(), 5);
    EXPECT_EQ(message.evaluate_progress().progress().rows_total(), 1000);
    rows.push_back(message.evaluate_progress().progress().rows_done());
  }
  ASSERT_FALSE(rows.empty());
  EXPECT_EQ(rows.front(), 0) << "the first goes at once";
  EXPECT_LT(rows.size(), 100u) << "one each 200 ms; more only on a machine that stood still";
}

TEST(WorkerChannel, AnEvaluationIsStoppedByItsNumberOrByAShutdown) {
  FakeServer server;
  auto channel = Dial(server);
  FakeServer::Response cancel;
  cancel.mutable_cancel()->set_request(4);
  server.Send(cancel);
  server.Send(Predict(1));
  channel->NextCommand();
  EXPECT_TRUE(channel->StopsRequest(4));
  EXPECT_FALSE(channel->StopsRequest(5));
  EXPECT_EQ(channel->Stop(kAttempt), StopRequest::kNone);
  server.Send(Shutdown());
  channel->NextCommand();
  EXPECT_TRUE(channel->StopsRequest(5));
}

}  // namespace
}  // namespace attune::training
