#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "attune/v1/prediction.grpc.pb.h"
#include "gtest/gtest.h"
#include "server/jobs/violations.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

class EvaluateTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    stub_ = v1::PredictionService::NewStub(channel_);
  }
  struct Evaluated {
    std::vector<v1::EvaluateResponse> messages;
    grpc::Status status;
  };
  static v1::EvaluateRequest Request() {
    v1::EvaluateRequest request;
    request.set_checkpoint("fineTuningJobs/j1");
    return request;
  }
  Evaluated Evaluate(const v1::EvaluateRequest& request) {
    grpc::ClientContext context;
    auto reader = stub_->Evaluate(&context, request);
    Evaluated evaluated;
    v1::EvaluateResponse message;
    while (reader->Read(&message)) evaluated.messages.push_back(message);
    evaluated.status = reader->Finish();
    return evaluated;
  }

  std::unique_ptr<v1::PredictionService::Stub> stub_;
};

TEST_F(EvaluateTest, ReportsProgressAndEndsWithTheResult) {
  scheduler_.on_evaluate = [](const v1::EvaluateRequest& request, const scheduler::EvaluateCallbacks& callbacks) {
    v1::EvaluateProgress progress;
    progress.set_rows_total(1000);
    for (int i = 0; i < 1000; ++i) {
      progress.set_rows_done(i);
      callbacks.progress(progress);
    }
    v1::CheckpointEvaluation result;
    result.set_checkpoint(request.checkpoint());
    result.set_dataset(request.dataset());
    callbacks.done(result);
  };
  v1::EvaluateRequest request = Request();
  request.set_dataset("datasets/d");
  const Evaluated evaluated = Evaluate(request);
  ASSERT_TRUE(evaluated.status.ok()) << evaluated.status.error_message();
  // Thousands of reports within 200 ms are one message; more only on a machine that stood still.
  ASSERT_GE(evaluated.messages.size(), 2u);
  EXPECT_LT(evaluated.messages.size(), 100u);
  EXPECT_EQ(evaluated.messages.front().progress().rows_done(), 0);
  EXPECT_EQ(evaluated.messages.front().progress().rows_total(), 1000);
  EXPECT_EQ(evaluated.messages.back().result().checkpoint(), "fineTuningJobs/j1/checkpoints/best") << "which a plain job means";
  EXPECT_EQ(evaluated.messages.back().result().dataset(), "datasets/d");
}

TEST_F(EvaluateTest, EachFieldIsChecked) {
  const std::pair<const char*, void (*)(v1::EvaluateRequest&)> cases[] = {
      {"checkpoint", [](v1::EvaluateRequest& r) { r.clear_checkpoint(); }},
      {"checkpoint", [](v1::EvaluateRequest& r) { r.set_checkpoint("models/m"); }},
      {"dataset", [](v1::EvaluateRequest& r) { r.set_dataset("models/m"); }},
      {"split", [](v1::EvaluateRequest& r) { r.set_split(static_cast<v1::Split>(7)); }},
      {"suspect_count", [](v1::EvaluateRequest& r) { r.set_find_suspects(true), r.set_suspect_count(1001); }},
      {"suspect_count", [](v1::EvaluateRequest& r) { r.set_suspect_count(1); }},
      {"batch_size", [](v1::EvaluateRequest& r) { r.set_batch_size(-1); }},
  };
  for (const auto& [field, spoil] : cases) {
    v1::EvaluateRequest request = Request();
    spoil(request);
    const Evaluated evaluated = Evaluate(request);
    EXPECT_TRUE(evaluated.messages.empty());
    EXPECT_EQ(OnlyField(evaluated.status), field);
  }
}

TEST_F(EvaluateTest, ErrorsOfTheSchedulerAreTheCalls) {
  EXPECT_EQ(Evaluate(Request()).status.error_code(), grpc::StatusCode::NOT_FOUND);
  scheduler_.on_evaluate = [](const v1::EvaluateRequest&, const scheduler::EvaluateCallbacks& callbacks) {
    callbacks.progress(v1::EvaluateProgress());
    callbacks.done(jobs::ViolationsStatus({{"dataset", "class 2 is another"}}));
  };
  EXPECT_EQ(OnlyField(Evaluate(Request()).status), "dataset");
}

TEST_F(EvaluateTest, ACallerThatLeavesCancelsIt) {
  absl::Notification finished;
  scheduler::EvaluateCallbacks running;
  scheduler_.on_evaluate = [&](const v1::EvaluateRequest&, const scheduler::EvaluateCallbacks& callbacks) {
    running = callbacks;
    callbacks.progress(v1::EvaluateProgress());
  };
  {
    grpc::ClientContext context;
    auto reader = stub_->Evaluate(&context, Request());
    v1::EvaluateResponse message;
    ASSERT_TRUE(reader->Read(&message));
    context.TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  server_->Shutdown(absl::InfiniteDuration());  // waits for the call's end
  EXPECT_EQ(scheduler_.cancelled_evaluations, 1);
  running.progress(v1::EvaluateProgress());  // late, and harmless
  running.done(absl::CancelledError("as asked"));
}

}  // namespace
}  // namespace attune::api
