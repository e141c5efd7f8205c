#include "server/api/fine_tuning_job_service.h"

#include <functional>
#include <string>

#include "absl/strings/cord.h"
#include "gtest/gtest.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

class FineTuningJobServiceTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    stub_ = v1::FineTuningJobService::NewStub(channel_);
  }

  static v1::CreateFineTuningJobRequest Request() {
    v1::CreateFineTuningJobRequest request;
    request.mutable_spec()->set_base_model("models/minilm");
    request.mutable_spec()->set_dataset("datasets/reviews");
    return request;
  }
  grpc::Status Create(const v1::CreateFineTuningJobRequest& request, v1::FineTuningJob* job) {
    grpc::ClientContext context;
    return stub_->CreateFineTuningJob(&context, request, job);
  }

  std::unique_ptr<v1::FineTuningJobService::Stub> stub_;
};

TEST_F(FineTuningJobServiceTest, CreateGetCancelDelete) {
  v1::FineTuningJob job;
  ASSERT_TRUE(Create(Request(), &job).ok());
  EXPECT_EQ(job.name(), "fineTuningJobs/j1");
  EXPECT_EQ(job.state(), v1::FineTuningJob::STATE_QUEUED);
  grpc::ClientContext c1, c2, c3, c4;
  v1::GetFineTuningJobRequest get;
  get.set_name(job.name());
  EXPECT_TRUE(stub_->GetFineTuningJob(&c1, get, &job).ok());
  EXPECT_EQ(job.spec().dataset(), "datasets/reviews");
  v1::CancelFineTuningJobRequest cancel;
  cancel.set_name(job.name());
  EXPECT_TRUE(stub_->CancelFineTuningJob(&c2, cancel, &job).ok());
  EXPECT_EQ(job.state(), v1::FineTuningJob::STATE_CANCELLING);
  v1::DeleteFineTuningJobRequest remove;
  remove.set_name(job.name());
  v1::DeleteFineTuningJobResponse removed;
  EXPECT_TRUE(stub_->DeleteFineTuningJob(&c3, remove, &removed).ok());
  EXPECT_EQ(stub_->GetFineTuningJob(&c4, get, &job).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(FineTuningJobServiceTest, PauseResumeUpdate) {
  v1::FineTuningJob job;
  ASSERT_TRUE(Create(Request(), &job).ok());
  const std::string name = job.name();
  grpc::ClientContext c1, c2, c3;
  v1::PauseFineTuningJobRequest pause;
  pause.set_name(name);
  EXPECT_TRUE(stub_->PauseFineTuningJob(&c1, pause, &job).ok());
  EXPECT_EQ(job.state(), v1::FineTuningJob::STATE_PAUSING);
  v1::ResumeFineTuningJobRequest resume;
  resume.set_name(name);
  EXPECT_TRUE(stub_->ResumeFineTuningJob(&c2, resume, &job).ok());
  EXPECT_EQ(job.state(), v1::FineTuningJob::STATE_QUEUED);
  v1::UpdateFineTuningJobRequest update;
  update.mutable_fine_tuning_job()->set_name(name);
  update.mutable_fine_tuning_job()->set_priority(7);
  update.mutable_update_mask()->add_paths("priority");
  EXPECT_TRUE(stub_->UpdateFineTuningJob(&c3, update, &job).ok());
  EXPECT_EQ(job.priority(), 7);
}

TEST_F(FineTuningJobServiceTest, ViolationsOfTheSchedulerReachTheClient) {
  scheduler_.on_create = [](const v1::CreateFineTuningJobRequest&) {
    google::rpc::BadRequest bad_request;
    bad_request.add_field_violations()->set_field("spec.hyperparameters.n_epochs");
    absl::Status status = absl::InvalidArgumentError("spec.hyperparameters.n_epochs: is 0");
    status.SetPayload("google.rpc.BadRequest", absl::Cord(bad_request.SerializeAsString()));
    return status;
  };
  v1::FineTuningJob job;
  EXPECT_EQ(OnlyField(Create(Request(), &job)), "spec.hyperparameters.n_epochs");
}

TEST_F(FineTuningJobServiceTest, CreateChecksEachField) {
  struct Case {
    std::function<void(v1::CreateFineTuningJobRequest&)> spoil;
    std::string field;
  };
  const Case cases[] = {
      {[](auto& r) { r.set_display_name(std::string(256, 'x')); }, "display_name"},
      {[](auto& r) {
         for (int i = 0; i < 65; ++i) (*r.mutable_labels())[std::to_string(i)] = "x";
       },
       "labels"},
      {[](auto& r) { (*r.mutable_labels())[""] = "x"; }, "labels[]"},
      {[](auto& r) { (*r.mutable_labels())["team"] = std::string(256, 'x'); }, "labels[team]"},
      {[](auto& r) { r.clear_spec(); }, "spec"},
      {[](auto& r) { r.mutable_spec()->set_base_model("minilm"); }, "spec.base_model"},
      {[](auto& r) { r.mutable_spec()->clear_dataset(); }, "spec.dataset"},
      {[](auto& r) { r.set_request_id("a b"); }, "request_id"},
      {[](auto& r) { r.mutable_spec()->mutable_warm_start()->set_checkpoint("j1/30"); }, "spec.warm_start.checkpoint"},
  };
  for (const Case& c : cases) {
    v1::CreateFineTuningJobRequest request = Request();
    c.spoil(request);
    v1::FineTuningJob job;
    EXPECT_EQ(OnlyField(Create(request, &job)), c.field) << request.ShortDebugString();
  }
}

TEST_F(FineTuningJobServiceTest, List) {
  for (const char* name : {"fineTuningJobs/a", "fineTuningJobs/b", "fineTuningJobs/c"}) PutJob(name);
  v1::ListFineTuningJobsRequest request;
  request.set_page_size(2);
  v1::ListFineTuningJobsResponse response;
  grpc::ClientContext c1, c2, c3;
  EXPECT_TRUE(stub_->ListFineTuningJobs(&c1, request, &response).ok());
  EXPECT_EQ(response.fine_tuning_jobs_size(), 2);
  EXPECT_EQ(response.next_page_token(), "more");
  request.set_page_size(0);  // the default
  EXPECT_TRUE(stub_->ListFineTuningJobs(&c2, request, &response).ok());
  EXPECT_EQ(response.fine_tuning_jobs_size(), 3);
  request.set_page_size(-1);
  EXPECT_EQ(OnlyField(stub_->ListFineTuningJobs(&c3, request, &response)), "page_size");
}

TEST_F(FineTuningJobServiceTest, EventsComeInPagesThatJoinToAll) {
  PutJob("fineTuningJobs/j1");
  for (int i = 1; i <= 10; ++i) event_log_.AppendMetrics("j1", i);
  v1::ListJobEventsRequest request;
  request.set_parent("fineTuningJobs/j1");
  request.set_page_size(4);
  request.set_after_sequence(2);
  std::vector<int64_t> sequences;
  int pages = 0;
  do {
    v1::ListJobEventsResponse response;
    grpc::ClientContext context;
    ASSERT_TRUE(stub_->ListJobEvents(&context, request, &response).ok());
    for (const auto& event : response.events()) sequences.push_back(event.sequence());
    request.set_page_token(response.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(sequences, (std::vector<int64_t>{3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(pages, 2);  // a full last page has no token
}

TEST_F(FineTuningJobServiceTest, MetricsComeInPagesThatJoinToAll) {
  PutJob("fineTuningJobs/j1");
  for (int i = 1; i <= 9; ++i) {
    event_log_.AppendMetrics("j1", i);
    event_log_.AppendState("j1", "RUNNING", false);
  }
  v1::ListJobMetricsRequest request;
  request.set_parent("fineTuningJobs/j1");
  request.set_page_size(4);
  std::vector<int64_t> steps;
  do {
    v1::ListJobMetricsResponse response;
    grpc::ClientContext context;
    ASSERT_TRUE(stub_->ListJobMetrics(&context, request, &response).ok());
    for (const auto& point : response.points()) steps.push_back(point.step());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST_F(FineTuningJobServiceTest, ListsCheckTheirFields) {
  PutJob("fineTuningJobs/j1");
  PutJob("fineTuningJobs/j2");
  for (int i = 1; i <= 3; ++i) event_log_.AppendMetrics("j1", i);
  v1::ListJobEventsRequest events;
  v1::ListJobEventsResponse listed;
  grpc::ClientContext c1, c2, c3, c4, c5, c6;
  EXPECT_EQ(OnlyField(stub_->ListJobEvents(&c1, events, &listed)), "parent");
  events.set_parent("fineTuningJobs/none");
  EXPECT_EQ(stub_->ListJobEvents(&c2, events, &listed).error_code(), grpc::StatusCode::NOT_FOUND);
  events.set_parent("fineTuningJobs/j1");
  events.set_after_sequence(-1);
  EXPECT_EQ(OnlyField(stub_->ListJobEvents(&c3, events, &listed)), "after_sequence");
  events.set_after_sequence(0);
  events.set_page_size(1);
  ASSERT_TRUE(stub_->ListJobEvents(&c4, events, &listed).ok());
  // A token belongs to its list.
  events.set_parent("fineTuningJobs/j2");
  events.set_page_token(listed.next_page_token());
  EXPECT_EQ(stub_->ListJobEvents(&c5, events, &listed).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  v1::ListJobMetricsRequest metrics;
  v1::ListJobMetricsResponse points;
  metrics.set_parent("x");
  EXPECT_EQ(OnlyField(stub_->ListJobMetrics(&c6, metrics, &points)), "parent");
}

TEST_F(FineTuningJobServiceTest, NamesAreChecked) {
  grpc::ClientContext c1, c2, c3, c4, c5, c6;
  v1::FineTuningJob job;
  v1::DeleteFineTuningJobResponse removed;
  EXPECT_EQ(OnlyField(stub_->GetFineTuningJob(&c1, v1::GetFineTuningJobRequest(), &job)), "name");
  EXPECT_EQ(OnlyField(stub_->CancelFineTuningJob(&c2, v1::CancelFineTuningJobRequest(), &job)), "name");
  EXPECT_EQ(OnlyField(stub_->DeleteFineTuningJob(&c3, v1::DeleteFineTuningJobRequest(), &removed)), "name");
  EXPECT_EQ(OnlyField(stub_->PauseFineTuningJob(&c4, v1::PauseFineTuningJobRequest(), &job)), "name");
  EXPECT_EQ(OnlyField(stub_->ResumeFineTuningJob(&c5, v1::ResumeFineTuningJobRequest(), &job)), "name");
  EXPECT_EQ(OnlyField(stub_->UpdateFineTuningJob(&c6, v1::UpdateFineTuningJobRequest(), &job)), "fine_tuning_job.name");
}

}  // namespace
}  // namespace attune::api
