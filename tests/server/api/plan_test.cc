// PlanFineTuningJob over a real channel.
#include <string>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "attune/v1/fine_tuning_job.grpc.pb.h"
#include "gtest/gtest.h"
#include "server/jobs/violations.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

class PlanTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    stub_ = v1::FineTuningJobService::NewStub(channel_);
  }
  static v1::PlanFineTuningJobRequest Request() {
    v1::PlanFineTuningJobRequest request;
    request.mutable_spec()->set_base_model("models/m");
    request.mutable_spec()->set_dataset("datasets/d");
    return request;
  }
  grpc::Status Plan(const v1::PlanFineTuningJobRequest& request, v1::PlanFineTuningJobResponse* response) {
    grpc::ClientContext context;
    return stub_->PlanFineTuningJob(&context, request, response);
  }

  std::unique_ptr<v1::FineTuningJobService::Stub> stub_;
};

TEST_F(PlanTest, AnswersWithThePlan) {
  scheduler_.on_plan = [](const v1::PlanFineTuningJobRequest& request, auto done) {
    v1::PlanFineTuningJobResponse plan;
    *plan.mutable_effective_spec() = request.spec();
    plan.set_fits(true);
    done(plan);
  };
  v1::PlanFineTuningJobResponse response;
  ASSERT_TRUE(Plan(Request(), &response).ok());
  EXPECT_TRUE(response.fits());
  EXPECT_EQ(response.effective_spec().dataset(), "datasets/d");
  EXPECT_EQ(scheduler_.cancelled_plans, 0);
}

TEST_F(PlanTest, NamesAreChecked) {
  const std::pair<const char*, void (*)(v1::PlanFineTuningJobRequest&)> cases[] = {
      {"spec", [](v1::PlanFineTuningJobRequest& r) { r.clear_spec(); }},
      {"spec.base_model", [](v1::PlanFineTuningJobRequest& r) { r.mutable_spec()->set_base_model("datasets/d"); }},
      {"spec.dataset", [](v1::PlanFineTuningJobRequest& r) { r.mutable_spec()->clear_dataset(); }},
      {"spec.replay.dataset", [](v1::PlanFineTuningJobRequest& r) { r.mutable_spec()->mutable_replay()->set_dataset("d"); }},
  };
  for (const auto& [field, spoil] : cases) {
    v1::PlanFineTuningJobRequest request = Request();
    spoil(request);
    v1::PlanFineTuningJobResponse response;
    const grpc::Status status = Plan(request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << field;
    EXPECT_NE(status.error_message().find(field), std::string::npos) << status.error_message();
  }
}

TEST_F(PlanTest, ErrorsAreTheCallers) {
  scheduler_.on_plan = [](const auto&, auto done) { done(absl::ResourceExhaustedError("8 plans wait already; try again later")); };
  v1::PlanFineTuningJobResponse response;
  EXPECT_EQ(Plan(Request(), &response).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(PlanTest, ACallerWhoLeavesEndsTheWork) {
  absl::Notification began;
  std::function<void(absl::StatusOr<v1::PlanFineTuningJobResponse>)> late;
  scheduler_.on_plan = [&](const auto&, auto done) {
    late = done;
    began.Notify();
  };
  grpc::ClientContext context;
  v1::PlanFineTuningJobResponse response;
  std::thread caller([&] { EXPECT_EQ(stub_->PlanFineTuningJob(&context, Request(), &response).error_code(), grpc::StatusCode::CANCELLED); });
  began.WaitForNotification();
  context.TryCancel();
  caller.join();
  while (scheduler_.cancelled_plans == 0) std::this_thread::yield();  // the server hears of it after the client
  late(v1::PlanFineTuningJobResponse());  // nobody listens any more
  late = nullptr;
}

}  // namespace
}  // namespace attune::api
