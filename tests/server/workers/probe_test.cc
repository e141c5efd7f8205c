// Probes in SupervisedWorkerPool: one at a time, each with a fresh worker.
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

class ProbeTest : public PoolFixture {
 protected:
  struct Answer {
    int64_t id = 0;
    absl::Notification there;
    absl::StatusOr<v1::PlanFineTuningJobResponse> result;
    absl::Status Status() {
      there.WaitForNotification();
      return result.status();
    }
  };

  std::shared_ptr<Answer> Probe(const std::string& model) {
    auto answer = std::make_shared<Answer>();
    worker::v1::Probe probe;
    probe.mutable_assignment()->set_model_dir(model);
    answer->id = pool_->Probe(std::move(probe), [answer](absl::StatusOr<v1::PlanFineTuningJobResponse> result) {
      answer->result = std::move(result);
      answer->there.Notify();
    });
    return answer;
  }
  static void Reply(ScriptedWorker& worker, int64_t request, int64_t peak) {
    worker::v1::ConnectRequest message;
    message.mutable_probe_done()->set_request(request);
    message.mutable_probe_done()->mutable_plan()->mutable_memory()->set_peak_bytes(peak);
    worker.Send(message);
  }
};

TEST_F(ProbeTest, EachHasAFreshWorker) {
  auto a = Probe("/a"), b = Probe("/b");
  ScriptedWorker& first = Connect(1);
  const auto command = first.Read();
  ASSERT_TRUE(command->has_probe());
  EXPECT_EQ(command->probe().assignment().model_dir(), "/a");
  EXPECT_EQ(command->probe().request(), a->id);
  Reply(first, a->id, 7);
  ASSERT_TRUE(a->Status().ok());
  EXPECT_EQ(a->result->memory().peak_bytes(), 7);
  EXPECT_TRUE(first.Read()->has_shutdown()) << "its memory is not what it was";
  ScriptedWorker& second = Connect(2);
  EXPECT_EQ(second.Read()->probe().assignment().model_dir(), "/b");
  first.Close();
  launcher_->Exit(first.id(), {false, 0});  // it goes while the other works, and takes nothing with it
  Reply(second, b->id, 8);
  ASSERT_TRUE(b->Status().ok());
  EXPECT_EQ(b->result->memory().peak_bytes(), 8);
}

TEST_F(ProbeTest, TheWorkersErrorIsTheCallersError) {
  auto answer = Probe("/a");
  ScriptedWorker& worker = Connect(1);
  worker.Read();
  worker::v1::ConnectRequest message;
  message.mutable_probe_done()->set_request(answer->id);
  message.mutable_probe_done()->set_code(static_cast<int>(absl::StatusCode::kResourceExhausted));
  message.mutable_probe_done()->set_error("memory ran out");
  worker.Send(message);
  EXPECT_EQ(answer->Status(), absl::ResourceExhaustedError("memory ran out"));
}

TEST_F(ProbeTest, CancellingAsksTheWorker) {
  auto answer = Probe("/a");
  auto waiting = Probe("/b");
  ScriptedWorker& worker = Connect(1);
  worker.Read();
  pool_->CancelProbe(waiting->id);
  EXPECT_EQ(waiting->Status().code(), absl::StatusCode::kCancelled);
  pool_->CancelProbe(answer->id);
  const auto cancel = worker.Read();
  ASSERT_TRUE(cancel->has_cancel());
  EXPECT_EQ(cancel->cancel().request(), answer->id);
}

TEST_F(ProbeTest, TooManyAndTooLong) {
  Start({.heartbeat_timeout = absl::Hours(9), .max_waiting_probes = 1});
  auto a = Probe("/a");
  ScriptedWorker& worker = Connect(1);
  worker.Read();
  auto b = Probe("/b"), c = Probe("/c");
  EXPECT_EQ(c->Status(), absl::ResourceExhaustedError("1 plans wait already; try again later"));
  clock_.Advance(absl::Minutes(15));
  pool_->WakeForTest();
  EXPECT_EQ(a->Status().code(), absl::StatusCode::kDeadlineExceeded);
  launcher_->WaitForKill(worker.id());
  EXPECT_FALSE(b->there.HasBeenNotified());
}

TEST_F(ProbeTest, ACrashIsTold) {
  auto answer = Probe("/a");
  ScriptedWorker& worker = Connect(1);
  worker.Read();
  worker.Drop();
  launcher_->Exit(worker.id(), {true, SIGKILL});
  EXPECT_EQ(answer->Status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(answer->Status().message()), HasSubstr("the plan was lost"));
}

}  // namespace
}  // namespace attune::workers
