#include "server/workers/supervised_worker_pool.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/files.h"
#include "server/workers/worker_endpoint.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/workers/scripted_worker.h"

namespace attune::workers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RecordingListener final : public WorkerPoolListener {
 public:
  void OnAttemptMessage(const AttemptId& attempt, worker::v1::ConnectRequest message) override {
    absl::MutexLock lock(&mutex_);
    messages_.push_back(std::move(message));
  }
  void OnAttemptEnded(const AttemptId& attempt, AttemptEnd end) override {
    absl::MutexLock lock(&mutex_);
    messages_at_end_ = messages_.size();
    ends_.emplace_back(attempt, std::move(end));
  }
  void OnWorkersChanged() override {
    absl::MutexLock lock(&mutex_);
    ++changes_;
  }
  // Await also wakes when the condition can only change with pool state: every such change is reported.
  void WaitUntil(const std::function<bool()>& condition) {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&condition));
  }
  std::pair<AttemptId, AttemptEnd> WaitForEnd(size_t n = 1) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, n]() { return ends_.size() >= n; };
    mutex_.Await(absl::Condition(&there));
    return ends_[n - 1];
  }
  worker::v1::ConnectRequest WaitForMessage(size_t n) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, n]() { return messages_.size() >= n; };
    mutex_.Await(absl::Condition(&there));
    return messages_[n - 1];
  }
  void WaitForChanges(int n) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, n]() { return changes_ >= n; };
    mutex_.Await(absl::Condition(&there));
  }
  size_t messages_at_end() {
    absl::MutexLock lock(&mutex_);
    return messages_at_end_;
  }
  size_t ends() {
    absl::MutexLock lock(&mutex_);
    return ends_.size();
  }

 private:
  absl::Mutex mutex_;
  std::vector<worker::v1::ConnectRequest> messages_;
  std::vector<std::pair<AttemptId, AttemptEnd>> ends_;
  size_t messages_at_end_ = 0;
  int changes_ = 0;
};

const AttemptId kAttempt{"fineTuningJobs/j1", 1};

class SupervisedWorkerPoolTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }
  void Start(SupervisedWorkerPoolOptions options) {
    TearDown();
    listener_ = std::make_unique<RecordingListener>();
    launcher_ = std::make_unique<ScriptedLauncher>();
    pool_ = std::make_unique<SupervisedWorkerPool>(options, *launcher_, clock_);
    endpoint_ = WorkerEndpoint::Start(directory_.path() + "/w.sock", pool_->service()).value();
    pool_->Start(*listener_);
  }
  void TearDown() override {
    workers_.clear();
    if (pool_ != nullptr) pool_->Stop(absl::ZeroDuration());
    endpoint_ = nullptr;
    pool_ = nullptr;
  }

  // The nth launched worker, connected; something waits for it.
  ScriptedWorker& ConnectToWork(size_t n) {
    LaunchRequest request = launcher_->WaitForLaunch(n);
    workers_.push_back(std::make_unique<ScriptedWorker>(endpoint_->address(), request.worker_id, request.secret));
    EXPECT_TRUE(workers_.back()->SayHello());
    return *workers_.back();
  }
  // The same, and idle.
  ScriptedWorker& Connect(size_t n) {
    const int idle = pool_->Status().idle;
    ScriptedWorker& worker = ConnectToWork(n);
    while (pool_->Status().idle == idle) listener_->WaitForChanges(++changes_seen_);
    return worker;
  }
  void Advance(absl::Duration by) {
    clock_.Advance(by);
    pool_->WakeForTest();
  }
  static worker::v1::Assign Assignment(const AttemptId& attempt) {
    worker::v1::Assign assignment;
    assignment.mutable_fence()->set_job(attempt.job);
    assignment.mutable_fence()->set_attempt(attempt.attempt);
    assignment.set_model_dir("/m");
    return assignment;
  }
  static worker::v1::ConnectRequest Message(const AttemptId& attempt = kAttempt) {
    worker::v1::ConnectRequest message;
    message.mutable_fence()->set_job(attempt.job);
    message.mutable_fence()->set_attempt(attempt.attempt);
    return message;
  }
  static worker::v1::ConnectRequest Metrics(int64_t step, const AttemptId& attempt = kAttempt) {
    worker::v1::ConnectRequest message = Message(attempt);
    message.mutable_metrics()->set_step(step);
    return message;
  }
  // A worker with an attempt that has begun.
  ScriptedWorker& Begin() {
    ScriptedWorker& worker = Connect(1);
    EXPECT_TRUE(pool_->Assign(Assignment(kAttempt)).ok());
    auto command = worker.Read();
    EXPECT_TRUE(command.has_value() && command->assign().model_dir() == "/m");
    return worker;
  }
  const WorkerLost& Lost(const std::pair<AttemptId, AttemptEnd>& end) { return std::get<WorkerLost>(end.second.how); }

  TemporaryDirectory directory_;
  ManualClock clock_;
  std::unique_ptr<RecordingListener> listener_;
  std::unique_ptr<ScriptedLauncher> launcher_;
  std::unique_ptr<SupervisedWorkerPool> pool_;
  std::unique_ptr<WorkerEndpoint> endpoint_;
  std::vector<std::unique_ptr<ScriptedWorker>> workers_;
  int changes_seen_ = 0;
};

TEST_F(SupervisedWorkerPoolTest, KeepsTheAskedNumberOfWorkersWarm) {
  Start({.warm_workers = 2});
  Connect(1);
  Connect(2);
  EXPECT_EQ(pool_->Status().idle, 2);
  EXPECT_EQ(pool_->Status().starting, 0);
  EXPECT_EQ(launcher_->launched(), 2u);
}

TEST_F(SupervisedWorkerPoolTest, RefusesStrangers) {
  LaunchRequest request = launcher_->WaitForLaunch(1);
  ScriptedWorker wrong_secret(endpoint_->address(), request.worker_id, "guess");
  wrong_secret.SayHello();
  EXPECT_EQ(wrong_secret.ReadToEnd().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  ScriptedWorker unknown(endpoint_->address(), "w-unknown", request.secret);
  unknown.SayHello();
  EXPECT_EQ(unknown.ReadToEnd().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  ScriptedWorker no_hello(endpoint_->address(), request.worker_id, request.secret);
  no_hello.Send(Metrics(1));
  EXPECT_EQ(no_hello.ReadToEnd().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  Connect(1);  // the right one is still welcome
  ScriptedWorker second(endpoint_->address(), request.worker_id, request.secret);
  second.SayHello();
  EXPECT_EQ(second.ReadToEnd().error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(pool_->Status().idle, 1);
}

TEST_F(SupervisedWorkerPoolTest, AnAttemptRunsAndItsWorkerIsLetGoAndReplaced) {
  EXPECT_EQ(pool_->Assign(Assignment(kAttempt)).code(), absl::StatusCode::kUnavailable);
  ScriptedWorker& worker = Begin();
  launcher_->WaitForLaunch(2);  // the next warm one, while the job runs
  worker.Send(Metrics(1));
  worker.Send(Metrics(2));
  EXPECT_EQ(listener_->WaitForMessage(2).metrics().step(), 2);
  worker::v1::ConnectRequest finished = Message();
  finished.mutable_finished()->set_best_step(2);
  worker.Send(finished);
  auto end = listener_->WaitForEnd();
  EXPECT_EQ(end.first, kAttempt);
  EXPECT_EQ(std::get<worker::v1::Finished>(end.second.how).best_step(), 2);
  EXPECT_THAT(end.second.log_tail, ElementsAre("tail of " + worker.id()));
  EXPECT_TRUE(worker.Read()->has_shutdown());
  worker.Close();
  launcher_->Exit(worker.id(), {false, 0});
  EXPECT_EQ(listener_->ends(), 1u) << "the exit after the end is no second end";
}

TEST_F(SupervisedWorkerPoolTest, LateAndForeignMessagesAreRefused) {
  ScriptedWorker& worker = Begin();
  worker.Send(Metrics(1, {"fineTuningJobs/j1", 0}));
  worker.Send(Metrics(1, {"fineTuningJobs/j2", 1}));
  worker.Send(Metrics(5));
  EXPECT_EQ(listener_->WaitForMessage(1).metrics().step(), 5);
  EXPECT_EQ(pool_->RefusedMessagesForTest(), 2);
  worker::v1::ConnectRequest failed = Message();
  failed.mutable_failed()->set_message("no");
  worker.Send(failed);
  worker.Send(Metrics(6));  // after the end
  worker.Close();
  launcher_->Exit(worker.id(), {false, 0});
  EXPECT_EQ(std::get<worker::v1::Failed>(listener_->WaitForEnd().second.how).message(), "no");
  EXPECT_EQ(pool_->RefusedMessagesForTest(), 3);
}

TEST_F(SupervisedWorkerPoolTest, ACrashIsReportedOnceAfterEverythingThatTheWorkerSaid) {
  ScriptedWorker& worker = Begin();
  for (int i = 1; i <= 50; ++i) worker.Send(Metrics(i));
  launcher_->Exit(worker.id(), {true, SIGSEGV});  // the process is gone while its words are on their way
  worker.Close();
  auto end = listener_->WaitForEnd();
  EXPECT_EQ(listener_->messages_at_end(), 50u);
  EXPECT_EQ(Lost(end).reason, ExitReason::kCrashed);
  EXPECT_THAT(Lost(end).description, HasSubstr("SIGSEGV"));
  EXPECT_THAT(end.second.log_tail, ElementsAre("last words of " + worker.id()));
}

TEST_F(SupervisedWorkerPoolTest, AKillFromOutsideIsTakenForOutOfMemory) {
  ScriptedWorker& worker = Begin();
  launcher_->Exit(worker.id(), {true, SIGKILL});
  worker.Drop();
  auto end = listener_->WaitForEnd();
  EXPECT_EQ(Lost(end).reason, ExitReason::kKilled);
  EXPECT_THAT(Lost(end).description, HasSubstr("signal 9"));
}

TEST_F(SupervisedWorkerPoolTest, AStreamThatOutlivesItsProcessIsCutAfterAMoment) {
  ScriptedWorker& worker = Begin();
  launcher_->Exit(worker.id(), {true, SIGABRT});
  Advance(absl::Seconds(2));
  EXPECT_EQ(worker.ReadToEnd().error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(Lost(listener_->WaitForEnd()).reason, ExitReason::kCrashed);
}

TEST_F(SupervisedWorkerPoolTest, ASilentWorkerIsKilled) {
  ScriptedWorker& worker = Begin();
  Advance(absl::Seconds(29));
  worker::v1::ConnectRequest heartbeat;
  heartbeat.mutable_heartbeat()->set_step(1);
  worker.Send(heartbeat);
  worker.Send(Metrics(1));
  listener_->WaitForMessage(1);
  Advance(absl::Seconds(29));  // 58 s after the assignment, 29 s after a sign of life
  worker.Send(Metrics(2));
  listener_->WaitForMessage(2);
  Advance(absl::Seconds(31));
  launcher_->WaitForKill(worker.id());
  worker.Drop();
  EXPECT_EQ(Lost(listener_->WaitForEnd()).reason, ExitReason::kLostHeartbeat);
}

TEST_F(SupervisedWorkerPoolTest, CancelIsPassedOnAndEnforced) {
  ScriptedWorker& worker = Begin();
  pool_->Cancel({"fineTuningJobs/j1", 7});  // unknown
  pool_->Cancel(kAttempt);
  auto command = worker.Read();
  ASSERT_TRUE(command->has_cancel());
  EXPECT_EQ(command->cancel().fence().job(), kAttempt.job);
  EXPECT_EQ(command->cancel().fence().attempt(), 1);
  for (int i = 0; i < 3; ++i) {  // it lives, but does not obey
    Advance(absl::Seconds(20));
    worker.Send(Metrics(i + 1));
    listener_->WaitForMessage(static_cast<size_t>(i) + 1);
  }
  launcher_->WaitForKill(worker.id());
  worker.Drop();
  EXPECT_EQ(Lost(listener_->WaitForEnd()).reason, ExitReason::kNotStopping);
}

TEST_F(SupervisedWorkerPoolTest, SuspendedWorkerMayExitWithoutAWord) {
  ScriptedWorker& worker = Begin();
  pool_->Suspend(kAttempt);
  EXPECT_TRUE(worker.Read()->has_shutdown());
  worker.Close();
  launcher_->Exit(worker.id(), {false, 0});
  EXPECT_EQ(Lost(listener_->WaitForEnd()).reason, ExitReason::kClean);
}

TEST_F(SupervisedWorkerPoolTest, KillEndsAnAttemptAtOnce) {
  ScriptedWorker& worker = Begin();
  pool_->Kill(kAttempt);
  launcher_->WaitForKill(worker.id());
  worker.Drop();
  EXPECT_EQ(Lost(listener_->WaitForEnd()).reason, ExitReason::kNotStopping);
}

TEST_F(SupervisedWorkerPoolTest, NonsenseEndsAWorker) {
  ScriptedWorker& worker = Begin();
  worker.SayHello();
  launcher_->WaitForKill(worker.id());
  worker.Drop();
  EXPECT_EQ(Lost(listener_->WaitForEnd()).reason, ExitReason::kProtocolError);
}

TEST_F(SupervisedWorkerPoolTest, WorkersThatDieYoungAreReplacedWithBackoffAndTheTroubleIsTold) {
  std::string id = launcher_->WaitForLaunch(1).worker_id;
  launcher_->Exit(id, {false, 127});
  listener_->WaitForChanges(1);
  EXPECT_THAT(pool_->Status().trouble, HasSubstr("code 127"));
  EXPECT_THAT(pool_->Status().trouble, HasSubstr("last words"));
  EXPECT_EQ(launcher_->launched(), 1u);
  Advance(absl::Seconds(1));
  id = launcher_->WaitForLaunch(2).worker_id;
  launcher_->Exit(id, {false, 127});
  listener_->WaitForChanges(2);
  Advance(absl::Seconds(1));
  EXPECT_EQ(launcher_->launched(), 2u);
  Advance(absl::Seconds(1));
  changes_seen_ = 2;
  Connect(3);
  EXPECT_EQ(pool_->Status().trouble, "");
}

TEST_F(SupervisedWorkerPoolTest, ALauncherThatFailsIsTriedAgain) {
  std::string id = launcher_->WaitForLaunch(1).worker_id;
  launcher_->FailLaunches(absl::NotFoundError("no such program"));
  launcher_->Exit(id, {false, 1});
  listener_->WaitForChanges(1);
  Advance(absl::Seconds(1));
  launcher_->WaitForLaunchAttempts(2);
  listener_->WaitForChanges(2);
  EXPECT_THAT(pool_->Status().trouble, HasSubstr("no such program"));
  launcher_->FailLaunches(absl::OkStatus());
  Advance(absl::Seconds(2));
  changes_seen_ = 2;
  Connect(2);
}

TEST_F(SupervisedWorkerPoolTest, AWorkerThatNeverConnectsIsKilled) {
  std::string id = launcher_->WaitForLaunch(1).worker_id;
  Advance(absl::Minutes(2));
  launcher_->WaitForKill(id);
  listener_->WaitForChanges(1);
  EXPECT_EQ(pool_->Status().starting, 0);
}

class PredictionTest : public SupervisedWorkerPoolTest {
 protected:
  struct Answer {
    absl::Notification there;
    absl::StatusOr<std::vector<v1::Prediction>> result;
  };
  std::shared_ptr<Answer> Predict(const std::string& directory) {
    auto answer = std::make_shared<Answer>();
    worker::v1::Predict prediction;
    prediction.set_checkpoint_dir(directory);
    prediction.add_inputs()->set_text("hello");
    prediction.add_images("\xff\xd8");
    pool_->Predict(std::move(prediction), [answer](absl::StatusOr<std::vector<v1::Prediction>> result) {
      answer->result = std::move(result);
      answer->there.Notify();
    });
    return answer;
  }
  static void Reply(ScriptedWorker& worker, const worker::v1::Predict& request) {
    worker::v1::ConnectRequest done;
    done.mutable_predict_done()->set_request(request.request());
    done.mutable_predict_done()->add_predictions()->add_labels(request.checkpoint_dir());
    worker.Send(done);
  }
  static std::string Label(Answer& answer) {
    answer.there.WaitForNotification();
    EXPECT_TRUE(answer.result.ok()) << answer.result.status();
    return answer.result.ok() ? answer.result->at(0).labels(0) : "";
  }
};

TEST_F(PredictionTest, HaveAWorkerOfTheirOwnThatStays) {
  ScriptedWorker& worker = Connect(1);
  auto a = Predict("/a");
  auto b = Predict("/b");  // waits for a
  auto first = worker.Read();
  EXPECT_EQ(first->predict().checkpoint_dir(), "/a");
  EXPECT_EQ(first->predict().inputs(0).text(), "hello");
  EXPECT_EQ(first->predict().images(0), "\xff\xd8");
  Reply(worker, first->predict());
  EXPECT_EQ(Label(*a), "/a");
  Reply(worker, worker.Read()->predict());
  EXPECT_EQ(Label(*b), "/b");
  // A job takes the other worker, and the prediction worker goes on.
  Connect(2);
  ASSERT_TRUE(pool_->Assign(Assignment(kAttempt)).ok());
  auto c = Predict("/c");
  Reply(worker, worker.Read()->predict());
  EXPECT_EQ(Label(*c), "/c");
}

TEST_F(PredictionTest, AnotherCheckpointHasAFreshWorkerWhereInputsAreSeparate) {
  Start({.separate_inputs = true, .prediction_workers = 1});
  ScriptedWorker& worker = Connect(1);
  auto a = Predict("/a");
  Reply(worker, worker.Read()->predict());
  EXPECT_EQ(Label(*a), "/a");
  auto again = Predict("/a");
  Reply(worker, worker.Read()->predict());
  EXPECT_EQ(Label(*again), "/a") << "the same files, the same worker";
  ScriptedWorker& second = Connect(2);
  auto b = Predict("/b");
  EXPECT_TRUE(worker.Read()->has_shutdown());
  Reply(second, second.Read()->predict());
  EXPECT_EQ(Label(*b), "/b");
}

TEST_F(PredictionTest, CheckpointsInTurnKeepTheirWorkers) {
  Start({.separate_inputs = true, .prediction_workers = 2});
  const auto ask = [this](const std::string& checkpoint, ScriptedWorker& worker) {
    auto answer = Predict(checkpoint);
    Reply(worker, worker.Read()->predict());
    EXPECT_EQ(Label(*answer), checkpoint);
  };
  ScriptedWorker& a = Connect(1);
  ask("/a", a);
  ScriptedWorker& b = Connect(2);
  ask("/b", b);
  for (int i = 0; i < 3; ++i) {
    ask("/a", a);
    ask("/b", b);
  }
  clock_.Advance(absl::Seconds(1));
  ask("/a", a);
  ScriptedWorker& c = Connect(3);
  ask("/c", c);
  EXPECT_TRUE(b.Read()->has_shutdown()) << "of the checkpoint that was not asked for longest";
  ask("/a", a);
}

TEST_F(PredictionTest, CheckpointsDoNotWaitForEachOther) {
  Start({.separate_inputs = true, .prediction_workers = 2});
  ScriptedWorker& a = Connect(1);
  auto first = Predict("/a");
  auto second = Predict("/a");
  const worker::v1::Predict asked = a.Read()->predict();
  ScriptedWorker& b = Connect(2);
  auto other = Predict("/b");
  Reply(b, b.Read()->predict());
  EXPECT_EQ(Label(*other), "/b");
  ScriptedWorker& c = Connect(3);
  auto third = Predict("/c");  // in place of b, where nothing waits
  EXPECT_TRUE(b.Read()->has_shutdown());
  Reply(c, c.Read()->predict());
  EXPECT_EQ(Label(*third), "/c");
  Reply(a, asked);
  EXPECT_EQ(Label(*first), "/a");
  Reply(a, a.Read()->predict());
  EXPECT_EQ(Label(*second), "/a");
}

TEST_F(PredictionTest, ACheckpointIsNotTiedToABusyWorker) {
  Start({.separate_inputs = true, .prediction_workers = 2});
  ScriptedWorker& a = Connect(1);
  auto first = Predict("/a");
  const worker::v1::Predict asked = a.Read()->predict();
  ScriptedWorker& b = Connect(2);
  auto second = Predict("/b");
  const worker::v1::Predict also_asked = b.Read()->predict();
  auto behind = Predict("/c");  // both are busy
  ScriptedWorker& c = Connect(3);
  Reply(b, also_asked);
  EXPECT_EQ(Label(*second), "/b");
  EXPECT_TRUE(b.Read()->has_shutdown()) << "it is the first that has nothing more to do";
  Reply(c, c.Read()->predict());
  EXPECT_EQ(Label(*behind), "/c");
  Reply(a, asked);
  EXPECT_EQ(Label(*first), "/a");
  auto again = Predict("/a");
  Reply(a, a.Read()->predict());
  EXPECT_EQ(Label(*again), "/a");
}

TEST_F(PredictionTest, ACheckpointThatWaitsForItsWorkerHasOnePlace) {
  Start({.separate_inputs = true, .prediction_workers = 2});
  ScriptedWorker& a = Connect(1);
  auto loaded = Predict("/a");
  Reply(a, a.Read()->predict());
  EXPECT_EQ(Label(*loaded), "/a");
  auto first = Predict("/b");  // no worker is idle
  auto second = Predict("/b");
  auto again = Predict("/a");
  Reply(a, a.Read()->predict());
  EXPECT_EQ(Label(*again), "/a") << "it keeps its worker";
  ScriptedWorker& b = ConnectToWork(2);
  Reply(b, b.Read()->predict());
  EXPECT_EQ(Label(*first), "/b");
  Reply(b, b.Read()->predict());
  EXPECT_EQ(Label(*second), "/b");
}

TEST_F(PredictionTest, WaitForAWorkerToStart) {
  auto a = Predict("/a");
  ScriptedWorker& worker = ConnectToWork(1);
  Reply(worker, worker.Read()->predict());
  EXPECT_EQ(Label(*a), "/a");
}

TEST_F(PredictionTest, TheWorkersErrorIsTheCallersError) {
  ScriptedWorker& worker = Connect(1);
  auto a = Predict("/a");
  worker::v1::ConnectRequest done;
  done.mutable_predict_done()->set_request(worker.Read()->predict().request());
  done.mutable_predict_done()->set_code(static_cast<int>(absl::StatusCode::kResourceExhausted));
  done.mutable_predict_done()->set_error("send fewer texts");
  worker.Send(done);
  a->there.WaitForNotification();
  EXPECT_EQ(a->result.status(), absl::ResourceExhaustedError("send fewer texts"));
}

TEST_F(PredictionTest, ACrashFailsOnlyTheOneUnderWay) {
  ScriptedWorker& worker = Connect(1);
  auto a = Predict("/a");
  auto b = Predict("/b");
  worker.Read();
  worker.Drop();
  launcher_->Exit(worker.id(), {true, SIGSEGV});
  a->there.WaitForNotification();
  EXPECT_EQ(a->result.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(a->result.status().message()), HasSubstr("SIGSEGV"));
  LaunchRequest request = launcher_->WaitForLaunch(2);
  ScriptedWorker next(endpoint_->address(), request.worker_id, request.secret);
  next.SayHello();
  Reply(next, next.Read()->predict());
  EXPECT_EQ(Label(*b), "/b");
}

TEST_F(PredictionTest, TakingTooLongIsAnError) {
  Start({.heartbeat_timeout = absl::Hours(1)});
  changes_seen_ = 0;
  ScriptedWorker& worker = Connect(1);
  auto a = Predict("/a");
  worker.Read();
  Advance(absl::Minutes(2));
  a->there.WaitForNotification();
  EXPECT_EQ(a->result.status().code(), absl::StatusCode::kDeadlineExceeded);
  launcher_->WaitForKill(worker.id());
}

TEST_F(PredictionTest, AnUnusedPredictionWorkerIsLetGo) {
  Start({.heartbeat_timeout = absl::Hours(1)});
  changes_seen_ = 0;
  ScriptedWorker& worker = Connect(1);
  auto a = Predict("/a");
  Reply(worker, worker.Read()->predict());
  EXPECT_EQ(Label(*a), "/a");
  Advance(absl::Minutes(10));
  EXPECT_TRUE(worker.Read()->has_shutdown());
}

TEST_F(PredictionTest, StopAnswersEverybodyAndTellsWorkersToExit) {
  ScriptedWorker& worker = Connect(1);
  auto a = Predict("/a");
  auto b = Predict("/b");
  worker.Read();
  std::thread stopping([&] { pool_->Stop(absl::Hours(1)); });
  EXPECT_TRUE(worker.Read()->has_shutdown());
  worker.Close();
  launcher_->Exit(worker.id(), {false, 0});
  stopping.join();
  for (auto& answer : {a, b}) {
    answer->there.WaitForNotification();
    EXPECT_EQ(answer->result.status().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(Predict("/c")->result.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(pool_->Assign(Assignment(kAttempt)).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace attune::workers
