// Evaluations in SupervisedWorkerPool: a lane of their own, progress, cancelling, silence.
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/workers/pool_fixture.h"

namespace attune::workers {
namespace {

using ::testing::HasSubstr;

class EvaluationTest : public PoolFixture {
 protected:
  struct Answer {
    int64_t id = 0;
    absl::Mutex mutex;
    std::vector<int64_t> rows ABSL_GUARDED_BY(mutex);  // of progress
    absl::Notification there;
    absl::StatusOr<v1::CheckpointEvaluation> result;

    void WaitForRows(int64_t wanted) {
      absl::MutexLock lock(&mutex);
      const auto seen = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { return !rows.empty() && rows.back() == wanted; };
      mutex.Await(absl::Condition(&seen));
    }
    absl::Status Status() {
      there.WaitForNotification();
      return result.status();
    }
  };

  std::shared_ptr<Answer> Evaluate(const std::string& dataset) {
    auto answer = std::make_shared<Answer>();
    worker::v1::Evaluate evaluation;
    evaluation.set_dataset_dir(dataset);
    WorkerPool::EvaluateCallbacks callbacks;
    callbacks.progress = [answer](const v1::EvaluateProgress& progress) {
      absl::MutexLock lock(&answer->mutex);
      answer->rows.push_back(progress.rows_done());
    };
    callbacks.done = [answer](absl::StatusOr<v1::CheckpointEvaluation> result) {
      answer->result = std::move(result);
      answer->there.Notify();
    };
    answer->id = pool_->Evaluate(std::move(evaluation), std::move(callbacks));
    return answer;
  }
  static void Report(ScriptedWorker& worker, int64_t request, int64_t rows) {
    worker::v1::ConnectRequest message;
    message.mutable_evaluate_progress()->set_request(request);
    message.mutable_evaluate_progress()->mutable_progress()->set_rows_done(rows);
    worker.Send(message);
  }
  static void Reply(ScriptedWorker& worker, int64_t request, int64_t training_rows) {
    worker::v1::ConnectRequest message;
    message.mutable_evaluate_done()->set_request(request);
    message.mutable_evaluate_done()->mutable_result()->set_training_rows(training_rows);
    worker.Send(message);
  }
  static void Refuse(ScriptedWorker& worker, int64_t request, absl::StatusCode code, const std::string& why) {
    worker::v1::ConnectRequest message;
    message.mutable_evaluate_done()->set_request(request);
    message.mutable_evaluate_done()->set_code(static_cast<int>(code));
    message.mutable_evaluate_done()->set_error(why);
    worker.Send(message);
  }
};

TEST_F(EvaluationTest, ReportsProgressAndThenTheResult) {
  auto answer = Evaluate("/d");
  ScriptedWorker& worker = Connect(1);
  const auto command = worker.Read();
  ASSERT_TRUE(command->has_evaluate());
  EXPECT_EQ(command->evaluate().dataset_dir(), "/d");
  EXPECT_EQ(command->evaluate().request(), answer->id);
  Report(worker, answer->id, 0);
  Report(worker, answer->id, 64);
  answer->WaitForRows(64);
  Reply(worker, answer->id, 7);
  ASSERT_TRUE(answer->Status().ok());
  EXPECT_EQ(answer->result->training_rows(), 7);
  EXPECT_TRUE(worker.Read()->has_shutdown()) << "nothing else is to be evaluated";
}

TEST_F(EvaluationTest, PredictionsDoNotWaitForThem) {
  auto answer = Evaluate("/d");
  ScriptedWorker& evaluating = Connect(1);
  ASSERT_TRUE(evaluating.Read()->has_evaluate());
  absl::Notification predicted;
  pool_->Predict({}, [&](auto) { predicted.Notify(); });
  ScriptedWorker& predicting = Connect(2);
  worker::v1::ConnectRequest done;
  done.mutable_predict_done()->set_request(predicting.Read()->predict().request());
  predicting.Send(done);
  predicted.WaitForNotification();
  EXPECT_FALSE(answer->there.HasBeenNotified());
  Reply(evaluating, answer->id, 1);
  EXPECT_TRUE(answer->Status().ok());
}

TEST_F(EvaluationTest, OneAfterTheOther) {
  auto a = Evaluate("/a"), b = Evaluate("/b");
  ScriptedWorker& worker = Connect(1);
  EXPECT_EQ(worker.Read()->evaluate().dataset_dir(), "/a");
  Reply(worker, a->id, 1);
  EXPECT_EQ(worker.Read()->evaluate().dataset_dir(), "/b");
  Reply(worker, b->id, 2);
  EXPECT_TRUE(a->Status().ok());
  EXPECT_TRUE(b->Status().ok());
}

TEST_F(EvaluationTest, AnotherDatasetHasAFreshWorkerWhereInputsAreSeparate) {
  Start({.heartbeat_timeout = absl::Hours(9), .separate_inputs = true});
  auto a = Evaluate("/a"), b = Evaluate("/b");
  ScriptedWorker& worker = Connect(1);
  EXPECT_EQ(worker.Read()->evaluate().dataset_dir(), "/a");
  ScriptedWorker& second = Connect(2);
  Reply(worker, a->id, 1);
  EXPECT_TRUE(worker.Read()->has_shutdown());
  EXPECT_EQ(second.Read()->evaluate().dataset_dir(), "/b");
  Reply(second, b->id, 2);
  EXPECT_TRUE(a->Status().ok());
  EXPECT_TRUE(b->Status().ok());
}

TEST_F(EvaluationTest, TheWorkersErrorIsTheCallersError) {
  auto answer = Evaluate("/d");
  ScriptedWorker& worker = Connect(1);
  Refuse(worker, worker.Read()->evaluate().request(), absl::StatusCode::kInvalidArgument, "class 2 is another");
  EXPECT_EQ(answer->Status(), absl::InvalidArgumentError("class 2 is another"));
}

TEST_F(EvaluationTest, CancellingOneThatWaitsNeedsNoWorker) {
  auto a = Evaluate("/a"), b = Evaluate("/b");
  ScriptedWorker& worker = Connect(1);
  worker.Read();
  pool_->CancelEvaluation(b->id);
  EXPECT_EQ(b->Status().code(), absl::StatusCode::kCancelled);
  Reply(worker, a->id, 1);
  EXPECT_TRUE(a->Status().ok());
  EXPECT_TRUE(worker.Read()->has_shutdown());
  pool_->CancelEvaluation(a->id);  // over
  pool_->CancelEvaluation(99);
}

TEST_F(EvaluationTest, CancellingTheOneUnderWayAsksTheWorker) {
  auto a = Evaluate("/a"), b = Evaluate("/b");
  ScriptedWorker& worker = Connect(1);
  worker.Read();
  pool_->CancelEvaluation(a->id);
  pool_->CancelEvaluation(a->id);  // asked once
  const auto cancel = worker.Read();
  ASSERT_TRUE(cancel->has_cancel());
  EXPECT_EQ(cancel->cancel().request(), a->id);
  EXPECT_FALSE(cancel->cancel().has_fence());
  Refuse(worker, a->id, absl::StatusCode::kCancelled, "cancelled");
  EXPECT_EQ(a->Status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(worker.Read()->evaluate().dataset_dir(), "/b") << "the next one has the worker";
  Reply(worker, b->id, 1);
  EXPECT_TRUE(b->Status().ok());
}

TEST_F(EvaluationTest, AWorkerThatDoesNotHeedTheCancelIsKilled) {
  auto answer = Evaluate("/d");
  ScriptedWorker& worker = Connect(1);
  worker.Read();
  pool_->CancelEvaluation(answer->id);
  worker.Read();
  Report(worker, answer->id, 5);  // goes on, which does not help it
  Advance(absl::Minutes(1));
  EXPECT_EQ(answer->Status().code(), absl::StatusCode::kDeadlineExceeded);
  launcher_->WaitForKill(worker.id());
}

TEST_F(EvaluationTest, SilenceIsAnErrorAndProgressIsNot) {
  auto answer = Evaluate("/d");
  ScriptedWorker& worker = Connect(1);
  worker.Read();
  Advance(absl::Minutes(4));
  Report(worker, answer->id, 1);
  answer->WaitForRows(1);
  Advance(absl::Minutes(4));
  Report(worker, answer->id, 2);
  answer->WaitForRows(2);
  EXPECT_FALSE(answer->there.HasBeenNotified()) << "eight minutes, but never five without a word";
  Advance(absl::Minutes(5));
  EXPECT_EQ(answer->Status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(answer->Status().message()), HasSubstr("the evaluation took too long"));
  launcher_->WaitForKill(worker.id());
}

TEST_F(EvaluationTest, ACrashFailsOnlyTheOneUnderWay) {
  auto a = Evaluate("/a"), b = Evaluate("/b");
  ScriptedWorker& worker = Connect(1);
  worker.Read();
  worker.Drop();
  launcher_->Exit(worker.id(), {true, SIGSEGV});
  EXPECT_EQ(a->Status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(a->Status().message()), HasSubstr("the evaluation was lost"));
  ScriptedWorker& next = Connect(2);
  const auto command = next.Read();
  ASSERT_TRUE(command.has_value());
  EXPECT_EQ(command->evaluate().dataset_dir(), "/b");
  Reply(next, b->id, 1);
  EXPECT_TRUE(b->Status().ok());
}

TEST_F(EvaluationTest, TooManyAndTooLate) {
  Start({.heartbeat_timeout = absl::Hours(9), .max_waiting_evaluations = 1});
  auto a = Evaluate("/a");
  ScriptedWorker& worker = Connect(1);
  worker.Read();
  auto b = Evaluate("/b"), c = Evaluate("/c");
  EXPECT_EQ(c->Status(), absl::ResourceExhaustedError("1 evaluations wait already; try again later"));
  for (int i = 1; i <= 15; ++i) {  // a goes on for an hour
    Report(worker, a->id, i);
    a->WaitForRows(i);
    Advance(absl::Minutes(4));
  }
  EXPECT_EQ(b->Status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(a->there.HasBeenNotified());
  Reply(worker, a->id, 1);
  EXPECT_TRUE(a->Status().ok());
}

TEST_F(EvaluationTest, AResultThatNobodyAskedForIsAFault) {
  absl::Notification predicted;
  pool_->Predict({}, [&](auto) { predicted.Notify(); });
  ScriptedWorker& worker = Connect(1);
  worker.Read();
  Report(worker, 1, 5);
  launcher_->WaitForKill(worker.id());
  worker.Drop();
  predicted.WaitForNotification();
}

TEST_F(EvaluationTest, StopAnswersEverybody) {
  auto a = Evaluate("/a"), b = Evaluate("/b");
  ScriptedWorker& worker = Connect(1);
  worker.Read();
  std::thread stopping([&] { pool_->Stop(absl::Hours(1)); });
  EXPECT_TRUE(worker.Read()->has_shutdown());
  worker.Close();
  launcher_->Exit(worker.id(), {false, 0});
  for (size_t n = 2; n <= launcher_->launched(); ++n) launcher_->Exit(launcher_->WaitForLaunch(n).worker_id, {false, 0});
  stopping.join();
  EXPECT_EQ(a->Status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(b->Status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Evaluate("/c")->Status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace attune::workers
