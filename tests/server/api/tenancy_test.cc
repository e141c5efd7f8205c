// Callers of different projects at one server. Each guard was taken out once, and a test here failed.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "attune/v1/admin.grpc.pb.h"
#include "attune/v1/checkpoint.grpc.pb.h"
#include "attune/v1/dataset.grpc.pb.h"
#include "attune/v1/fine_tuning_job.grpc.pb.h"
#include "attune/v1/model.grpc.pb.h"
#include "attune/v1/prediction.grpc.pb.h"
#include "attune/v1/upload.grpc.pb.h"
#include "server/auth/auth_errors.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

using ::testing::_;
using ::testing::AnyNumber;
using ::testing::HasSubstr;
using ::testing::Return;

// The bearer token is the caller's projects, with commas.
class ProjectsByToken final : public auth::Authenticator {
 public:
  absl::StatusOr<auth::Identity> Authenticate(const auth::Credentials& credentials) override {
    if (credentials.bearer_token.empty()) return auth::Unauthenticated("CREDENTIALS_MISSING", "send a token");
    auth::Identity identity{.subject = credentials.bearer_token, .kind = auth::IdentityKind::kToken, .scopes = {auth::Scope::kAdmin}};
    for (absl::string_view project : absl::StrSplit(credentials.bearer_token, ',')) identity.projects.emplace_back(project);
    return identity;
  }
};

class TenancyTest : public ApiTest {
 protected:
  void SetUp() override {
    auth_registry_ = std::make_unique<prometheus::Registry>();
    gate_ = std::make_unique<auth::CallGate>(authenticator_, *audit_, *auth_registry_);
    security_.gate = gate_.get();
    security_.quotas = &quotas_;
    StartServer({});
    // uploads/u1, datasets/d1, models/m1 and fineTuningJobs/j1 belong to team-a.
    v1::CreateUploadRequest upload;
    upload.set_filename("a.csv");
    upload.set_size_bytes(3);
    v1::Upload made;
    ASSERT_TRUE(Call("team-a", [&](auto* c) { return v1::UploadService::NewStub(channel_)->CreateUpload(c, upload, &made); }).ok());
    ASSERT_EQ(made.project(), "team-a");
    v1::FineTuningJob job = PutJob("fineTuningJobs/j1");
    job.mutable_spec()->mutable_scheduling()->set_project("team-a");
    scheduler_.PutJob(job);
    EXPECT_CALL(datasets_, Get(_)).Times(AnyNumber()).WillRepeatedly([](const std::string& name) -> absl::StatusOr<v1::Dataset> {
      v1::Dataset dataset;
      dataset.set_name(name);
      dataset.set_project(name == "datasets/common" ? "shared" : "team-a");
      if (name == "datasets/d1" || name == "datasets/common") return dataset;
      return absl::NotFoundError("there is no such dataset; did you mean datasets/d1?");
    });
    EXPECT_CALL(catalogue_, Get(_)).Times(AnyNumber()).WillRepeatedly([](const std::string& name) -> absl::StatusOr<v1::Model> {
      v1::Model model;
      model.set_name(name);
      model.set_project(name == "models/common" ? "shared" : "team-a");
      if (name == "models/m1" || name == "models/common") return model;
      return absl::NotFoundError("there is no such model; did you mean models/m1?");
    });
  }

  // Before what it asks goes.
  void TearDown() override { server_.reset(); }

  grpc::Status Call(const std::string& projects, const std::function<grpc::Status(grpc::ClientContext*)>& call) {
    grpc::ClientContext context;
    if (!projects.empty()) context.AddMetadata("authorization", "Bearer " + projects);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return call(&context);
  }

  // Every call that takes a name, by what it is called, with `id` (1: team-a's; 9: nobody's) at the end of the name.
  using NamedCall = std::function<grpc::Status(grpc::ClientContext*, const std::string& id)>;
  std::map<std::string, NamedCall> NamedCalls();

  template <typename Stub, typename Request, typename Response>
  NamedCall Unary(std::unique_ptr<Stub> stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*), std::function<void(Request&, const std::string&)> fill) {
    std::shared_ptr<Stub> shared = std::move(stub);
    return [shared, method, fill](grpc::ClientContext* context, const std::string& id) {
      Request request;
      fill(request, id);
      Response response;
      return (shared.get()->*method)(context, request, &response);
    };
  }
  template <typename Response>
  static grpc::Status Drain(std::unique_ptr<grpc::ClientReader<Response>> reader) {
    Response response;
    while (reader->Read(&response)) continue;
    return reader->Finish();
  }
  static void FillSpec(v1::FineTuningSpec& spec) {
    spec.set_base_model("models/common");
    spec.set_dataset("datasets/common");
  }

  ProjectsByToken authenticator_;
  TemporaryDirectory audit_directory_;
  std::unique_ptr<auth::AuditLog> audit_ = auth::AuditLog::Open({.directory = audit_directory_.path()}, Files::Posix(), Clock::System()).value();
  std::unique_ptr<prometheus::Registry> auth_registry_;
  std::unique_ptr<auth::CallGate> gate_;
  auth::ProjectQuotas quotas_{{.projects = {{"small", {.stored_bytes = 10, .queued_jobs = 2}}, {"slow", {.requests_per_second = 0.001, .request_burst = 2}}}}, Clock::System()};
};

std::map<std::string, TenancyTest::NamedCall> TenancyTest::NamedCalls() {
  using Uploads = v1::UploadService;
  using Datasets = v1::DatasetService;
  using Models = v1::ModelService;
  using Jobs = v1::FineTuningJobService;
  using Checkpoints = v1::CheckpointService;
  const auto name = [](const char* prefix, const char* suffix = "") {
    return [prefix = std::string(prefix), suffix = std::string(suffix)](auto& request, const std::string& id) { request.set_name(prefix + id + suffix); };
  };
  const auto parent = [](auto& request, const std::string& id) { request.set_parent("fineTuningJobs/j" + id); };
  std::map<std::string, NamedCall> calls;
  calls["GetUpload"] = Unary<Uploads::Stub, v1::GetUploadRequest, v1::Upload>(Uploads::NewStub(channel_), &Uploads::Stub::GetUpload, name("uploads/u"));
  calls["DeleteUpload"] = Unary<Uploads::Stub, v1::DeleteUploadRequest, v1::DeleteUploadResponse>(Uploads::NewStub(channel_), &Uploads::Stub::DeleteUpload, name("uploads/u"));
  calls["WriteUpload"] = [this](grpc::ClientContext* context, const std::string& id) {
    v1::Upload response;
    auto stub = Uploads::NewStub(channel_);
    auto writer = stub->WriteUpload(context, &response);
    v1::WriteUploadRequest request;
    request.set_name("uploads/u" + id);
    request.set_data("abc");
    writer->Write(request);
    writer->WritesDone();
    return writer->Finish();
  };
  calls["GetDataset"] = Unary<Datasets::Stub, v1::GetDatasetRequest, v1::Dataset>(Datasets::NewStub(channel_), &Datasets::Stub::GetDataset, name("datasets/d"));
  calls["DeleteDataset"] = Unary<Datasets::Stub, v1::DeleteDatasetRequest, v1::DeleteDatasetResponse>(Datasets::NewStub(channel_), &Datasets::Stub::DeleteDataset, name("datasets/d"));
  calls["PreviewRows"] = Unary<Datasets::Stub, v1::PreviewRowsRequest, v1::PreviewRowsResponse>(Datasets::NewStub(channel_), &Datasets::Stub::PreviewRows, name("datasets/d"));
  calls["PreviewRows: tokenizer"] = Unary<Datasets::Stub, v1::PreviewRowsRequest, v1::PreviewRowsResponse>(Datasets::NewStub(channel_), &Datasets::Stub::PreviewRows, [](auto& request, auto& id) {
    request.set_name("datasets/common");
    request.set_tokenizer_model("models/m" + id);
  });
  for (bool tokenizer : {false, true}) {
    calls[tokenizer ? "ImportDataset: tokenizer" : "ImportDataset: upload"] = [this, tokenizer](grpc::ClientContext* context, const std::string& id) {
      v1::ImportDatasetRequest request;
      request.add_files()->set_upload(tokenizer ? "uploads/u2" : "uploads/u" + id);
      if (tokenizer) request.set_tokenizer_model("models/m" + id);
      auto stub = Datasets::NewStub(channel_);
      return Drain(stub->ImportDataset(context, request));
    };
  }
  calls["GetModel"] = Unary<Models::Stub, v1::GetModelRequest, v1::Model>(Models::NewStub(channel_), &Models::Stub::GetModel, name("models/m"));
  calls["DeleteModel"] = Unary<Models::Stub, v1::DeleteModelRequest, v1::DeleteModelResponse>(Models::NewStub(channel_), &Models::Stub::DeleteModel, name("models/m"));
  calls["DescribeLayers"] = Unary<Models::Stub, v1::DescribeLayersRequest, v1::DescribeLayersResponse>(Models::NewStub(channel_), &Models::Stub::DescribeLayers, name("models/m"));
  calls["ImportModel"] = Unary<Models::Stub, v1::ImportModelRequest, v1::Model>(Models::NewStub(channel_), &Models::Stub::ImportModel, [](auto& request, auto& id) {
    request.set_model_id("new");
    auto* file = request.add_files();
    file->set_path("config.json");
    file->set_upload("uploads/u" + id);
  });
  calls["GetFineTuningJob"] = Unary<Jobs::Stub, v1::GetFineTuningJobRequest, v1::FineTuningJob>(Jobs::NewStub(channel_), &Jobs::Stub::GetFineTuningJob, name("fineTuningJobs/j"));
  calls["CancelFineTuningJob"] = Unary<Jobs::Stub, v1::CancelFineTuningJobRequest, v1::FineTuningJob>(Jobs::NewStub(channel_), &Jobs::Stub::CancelFineTuningJob, name("fineTuningJobs/j"));
  calls["PauseFineTuningJob"] = Unary<Jobs::Stub, v1::PauseFineTuningJobRequest, v1::FineTuningJob>(Jobs::NewStub(channel_), &Jobs::Stub::PauseFineTuningJob, name("fineTuningJobs/j"));
  calls["ResumeFineTuningJob"] = Unary<Jobs::Stub, v1::ResumeFineTuningJobRequest, v1::FineTuningJob>(Jobs::NewStub(channel_), &Jobs::Stub::ResumeFineTuningJob, name("fineTuningJobs/j"));
  calls["DeleteFineTuningJob"] =
      Unary<Jobs::Stub, v1::DeleteFineTuningJobRequest, v1::DeleteFineTuningJobResponse>(Jobs::NewStub(channel_), &Jobs::Stub::DeleteFineTuningJob, name("fineTuningJobs/j"));
  calls["UpdateFineTuningJob"] = Unary<Jobs::Stub, v1::UpdateFineTuningJobRequest, v1::FineTuningJob>(
      Jobs::NewStub(channel_), &Jobs::Stub::UpdateFineTuningJob, [](auto& request, auto& id) { request.mutable_fine_tuning_job()->set_name("fineTuningJobs/j" + id); });
  calls["ListJobEvents"] = Unary<Jobs::Stub, v1::ListJobEventsRequest, v1::ListJobEventsResponse>(Jobs::NewStub(channel_), &Jobs::Stub::ListJobEvents, parent);
  calls["ListJobMetrics"] = Unary<Jobs::Stub, v1::ListJobMetricsRequest, v1::ListJobMetricsResponse>(Jobs::NewStub(channel_), &Jobs::Stub::ListJobMetrics, parent);
  calls["WatchFineTuningJob"] = [this](grpc::ClientContext* context, const std::string& id) {
    v1::WatchFineTuningJobRequest request;
    request.set_name("fineTuningJobs/j" + id);
    auto stub = Jobs::NewStub(channel_);
    return Drain(stub->WatchFineTuningJob(context, request));
  };
  const std::map<std::string, std::function<void(v1::FineTuningSpec&, const std::string&)>> fields = {
      {"base_model", [](auto& spec, auto& id) { spec.set_base_model("models/m" + id); }},
      {"dataset", [](auto& spec, auto& id) { spec.set_dataset("datasets/d" + id); }},
      {"replay", [](auto& spec, auto& id) { spec.mutable_replay()->set_dataset("datasets/d" + id); }},
      {"warm_start", [](auto& spec, auto& id) { spec.mutable_warm_start()->set_checkpoint("fineTuningJobs/j" + id + "/checkpoints/best"); }}};
  for (const auto& [field, set] : fields) {
    calls["CreateFineTuningJob: " + field] = Unary<Jobs::Stub, v1::CreateFineTuningJobRequest, v1::FineTuningJob>(Jobs::NewStub(channel_), &Jobs::Stub::CreateFineTuningJob,
                                                                                                                  [set = set](auto& request, auto& id) {
                                                                                                                    FillSpec(*request.mutable_spec());
                                                                                                                    set(*request.mutable_spec(), id);
                                                                                                                  });
    calls["PlanFineTuningJob: " + field] = Unary<Jobs::Stub, v1::PlanFineTuningJobRequest, v1::PlanFineTuningJobResponse>(Jobs::NewStub(channel_), &Jobs::Stub::PlanFineTuningJob,
                                                                                                                          [set = set](auto& request, auto& id) {
                                                                                                                            FillSpec(*request.mutable_spec());
                                                                                                                            set(*request.mutable_spec(), id);
                                                                                                                          });
  }
  calls["GetCheckpoint"] = Unary<Checkpoints::Stub, v1::GetCheckpointRequest, v1::Checkpoint>(Checkpoints::NewStub(channel_), &Checkpoints::Stub::GetCheckpoint, name("fineTuningJobs/j", "/checkpoints/10"));
  calls["ListCheckpoints"] = Unary<Checkpoints::Stub, v1::ListCheckpointsRequest, v1::ListCheckpointsResponse>(Checkpoints::NewStub(channel_), &Checkpoints::Stub::ListCheckpoints, parent);
  calls["DeleteCheckpoint"] =
      Unary<Checkpoints::Stub, v1::DeleteCheckpointRequest, v1::DeleteCheckpointResponse>(Checkpoints::NewStub(channel_), &Checkpoints::Stub::DeleteCheckpoint, name("fineTuningJobs/j", "/checkpoints/10"));
  calls["UpdateCheckpoint"] = Unary<Checkpoints::Stub, v1::UpdateCheckpointRequest, v1::Checkpoint>(
      Checkpoints::NewStub(channel_), &Checkpoints::Stub::UpdateCheckpoint, [](auto& request, auto& id) { request.mutable_checkpoint()->set_name("fineTuningJobs/j" + id + "/checkpoints/10"); });
  calls["DownloadCheckpointFile"] = [this](grpc::ClientContext* context, const std::string& id) {
    v1::DownloadCheckpointFileRequest request;
    request.set_name("fineTuningJobs/j" + id + "/checkpoints/10");
    request.set_path("model.safetensors");
    auto stub = Checkpoints::NewStub(channel_);
    return Drain(stub->DownloadCheckpointFile(context, request));
  };
  calls["Predict"] = Unary<v1::PredictionService::Stub, v1::PredictRequest, v1::PredictResponse>(v1::PredictionService::NewStub(channel_), &v1::PredictionService::Stub::Predict, [](auto& request, auto& id) {
    request.set_checkpoint("fineTuningJobs/j" + id + "/checkpoints/best");
    request.add_inputs()->set_text("hello");
  });
  for (bool dataset : {false, true}) {
    calls[dataset ? "Evaluate: dataset" : "Evaluate"] = [this, dataset](grpc::ClientContext* context, const std::string& id) {
      v1::EvaluateRequest request;
      request.set_checkpoint("fineTuningJobs/j" + (dataset ? "2" : id) + "/checkpoints/best");
      if (dataset) request.set_dataset("datasets/d" + id);
      auto stub = v1::PredictionService::NewStub(channel_);
      return Drain(stub->Evaluate(context, request));
    };
  }
  return calls;
}

TEST_F(TenancyTest, NamesOfAnotherProjectAreLikeNamesThatDoNotExist) {
  // What team-b has of its own, for calls that take two names.
  v1::CreateUploadRequest upload;
  upload.set_filename("b.csv");
  upload.set_size_bytes(3);
  v1::Upload made;
  ASSERT_TRUE(Call("team-b", [&](auto* c) { return v1::UploadService::NewStub(channel_)->CreateUpload(c, upload, &made); }).ok());
  ASSERT_EQ(made.name(), "uploads/u2");
  v1::FineTuningJob job = PutJob("fineTuningJobs/j2");
  job.mutable_spec()->mutable_scheduling()->set_project("team-b");
  scheduler_.PutJob(job);
  const auto calls = NamedCalls();
  EXPECT_EQ(calls.size(), 38u);
  for (const auto& [what, call] : calls) {
    const grpc::Status foreign = Call("team-b", [&](auto* c) { return call(c, "1"); });
    const grpc::Status missing = Call("team-b", [&](auto* c) { return call(c, "9"); });
    EXPECT_EQ(foreign.error_code(), grpc::StatusCode::NOT_FOUND) << what << ": " << foreign.error_message();
    EXPECT_EQ(missing.error_code(), grpc::StatusCode::NOT_FOUND) << what << ": " << missing.error_message();
    std::string like_missing = foreign.error_message();
    for (size_t at = like_missing.find('1'); at != std::string::npos; at = like_missing.find('1')) like_missing[at] = '9';
    EXPECT_EQ(like_missing, missing.error_message()) << what << ": the words differ, and tell that it exists";
  }
}

TEST_F(TenancyTest, WithoutCredentialsNobodyGetsAnywhere) {
  for (const auto& [what, call] : NamedCalls()) EXPECT_EQ(Call("", [&](auto* c) { return call(c, "1"); }).error_code(), grpc::StatusCode::UNAUTHENTICATED) << what;
}

TEST_F(TenancyTest, WhatIsSharedMayBeReadAndNotDeleted) {
  v1::GetModelRequest get;
  get.set_name("models/common");
  v1::Model model;
  EXPECT_TRUE(Call("team-b", [&](auto* c) { return v1::ModelService::NewStub(channel_)->GetModel(c, get, &model); }).ok());
  v1::DeleteModelRequest remove;
  remove.set_name("models/common");
  v1::DeleteModelResponse gone;
  const auto call = [&](auto* c) { return v1::ModelService::NewStub(channel_)->DeleteModel(c, remove, &gone); };
  EXPECT_EQ(Call("team-b", call).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_CALL(catalogue_, Delete("models/common")).WillOnce(Return(absl::OkStatus()));
  EXPECT_TRUE(Call("shared", call).ok());
}

TEST_F(TenancyTest, ListsHoldTheCallersProjectsAlone) {
  const auto has = [](std::vector<std::string> ids) { return ::testing::Truly([ids](const ProjectSet& projects) { return !projects.all() && projects.ids() == ids; }); };
  EXPECT_CALL(datasets_, List(has({"team-b", "shared"}), _, _)).WillOnce(Return(v1::ListDatasetsResponse()));
  EXPECT_CALL(catalogue_, List(has({"team-b", "shared"}), _, _)).WillOnce(Return(v1::ListModelsResponse()));
  v1::ListDatasetsResponse datasets;
  EXPECT_TRUE(Call("team-b", [&](auto* c) { return v1::DatasetService::NewStub(channel_)->ListDatasets(c, {}, &datasets); }).ok());
  v1::ListModelsResponse models;
  EXPECT_TRUE(Call("team-b", [&](auto* c) { return v1::ModelService::NewStub(channel_)->ListModels(c, {}, &models); }).ok());
  for (const auto& [caller, count] : std::map<std::string, int>{{"team-a", 1}, {"team-b", 0}, {"team-b,team-a", 1}, {"shared", 0}, {"*", 1}}) {
    v1::ListFineTuningJobsRequest request;
    request.set_filter("project = \"team-a\"");
    v1::ListFineTuningJobsResponse jobs;
    EXPECT_TRUE(Call(caller, [&](auto* c) { return v1::FineTuningJobService::NewStub(channel_)->ListFineTuningJobs(c, request, &jobs); }).ok()) << caller;
    EXPECT_EQ(jobs.fine_tuning_jobs_size(), count) << caller;
  }
}

TEST_F(TenancyTest, WhatIsMadeBelongsToAProjectOfTheCaller) {
  const auto make = [&](const std::string& caller, const std::string& project, v1::Upload* made) {
    v1::CreateUploadRequest request;
    request.set_filename("x.csv");
    request.set_size_bytes(1);
    request.set_request_id("r");
    request.set_project(project);
    return Call(caller, [&](auto* c) { return v1::UploadService::NewStub(channel_)->CreateUpload(c, request, made); });
  };
  v1::Upload made;
  EXPECT_TRUE(make("team-b", "", &made).ok());
  EXPECT_EQ(made.project(), "team-b") << "its only one";
  EXPECT_EQ(artifacts_.LastCreate().request_id, "team-b:r");
  EXPECT_TRUE(make("team-b,default", "", &made).ok());
  EXPECT_EQ(made.project(), "default");
  EXPECT_TRUE(make("*", "team-z", &made).ok());
  EXPECT_EQ(made.project(), "team-z");
  EXPECT_EQ(OnlyField(make("team-b,team-c", "", &made)), "project") << "which of them?";
  EXPECT_EQ(OnlyField(make("*", "No Project", &made)), "project");
  const grpc::Status denied = make("team-b", "team-a", &made);
  EXPECT_EQ(denied.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(DetailsOf(denied).info.reason(), "PROJECT_DENIED");

  v1::CreateFineTuningJobRequest request;
  FillSpec(*request.mutable_spec());
  v1::FineTuningJob job;
  const auto create = [&](auto* c) { return v1::FineTuningJobService::NewStub(channel_)->CreateFineTuningJob(c, request, &job); };
  ASSERT_TRUE(Call("team-b", create).ok());
  EXPECT_EQ(job.spec().scheduling().project(), "team-b");
  request.mutable_spec()->mutable_scheduling()->set_project("team-a");
  EXPECT_EQ(Call("team-b", create).error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

// Or two projects could learn of each other by a request_id, or get what the other's has made.
TEST_F(TenancyTest, RequestIdsAreAProjects) {
  std::string seen;
  scheduler_.on_create = [&](const v1::CreateFineTuningJobRequest& request) -> absl::StatusOr<v1::FineTuningJob> {
    seen = request.request_id();
    return absl::UnavailableError("seen");
  };
  v1::CreateFineTuningJobRequest create;
  FillSpec(*create.mutable_spec());
  create.set_request_id("r");
  v1::FineTuningJob job;
  Call("team-b", [&](auto* c) { return v1::FineTuningJobService::NewStub(channel_)->CreateFineTuningJob(c, create, &job); });
  EXPECT_EQ(seen, "team-b:r");

  EXPECT_CALL(datasets_, Import).WillOnce([&](const v1::ImportDatasetRequest& request, const datasets::DatasetStore::Progress&) -> absl::StatusOr<v1::Dataset> {
    seen = request.request_id();
    return absl::UnavailableError("seen");
  });
  v1::CreateUploadRequest upload;
  upload.set_filename("b.csv");
  upload.set_size_bytes(3);
  v1::Upload made;
  ASSERT_TRUE(Call("team-c", [&](auto* c) { return v1::UploadService::NewStub(channel_)->CreateUpload(c, upload, &made); }).ok());
  v1::ImportDatasetRequest dataset;
  dataset.set_dataset_id("d2");
  dataset.add_files()->set_upload(made.name());
  dataset.set_request_id("r");
  Call("team-c", [&](auto* c) { return Drain(v1::DatasetService::NewStub(channel_)->ImportDataset(c, dataset)); });
  EXPECT_EQ(seen, "team-c:r");

  EXPECT_CALL(catalogue_, Import).WillOnce([&](const v1::ImportModelRequest& request) -> absl::StatusOr<v1::Model> {
    seen = request.request_id();
    return absl::UnavailableError("seen");
  });
  ASSERT_TRUE(Call("team-d", [&](auto* c) { return v1::UploadService::NewStub(channel_)->CreateUpload(c, upload, &made); }).ok());
  v1::ImportModelRequest model;
  model.set_model_id("m2");
  model.add_files()->set_upload(made.name());
  model.mutable_files(0)->set_path("config.json");
  model.set_request_id("r");
  v1::Model imported;
  Call("team-d", [&](auto* c) { return v1::ModelService::NewStub(channel_)->ImportModel(c, model, &imported); });
  EXPECT_EQ(seen, "team-d:r");
}

TEST_F(TenancyTest, QuotasAreAnsweredWithWhatIsExceededAndWhenToComeBack) {
  v1::GetUploadRequest get;
  get.set_name("uploads/u1");
  v1::Upload upload;
  const auto call = [&](auto* c) { return v1::UploadService::NewStub(channel_)->GetUpload(c, get, &upload); };
  EXPECT_EQ(Call("slow", call).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Call("slow", call).error_code(), grpc::StatusCode::NOT_FOUND);
  const grpc::Status third = Call("slow", call);
  EXPECT_EQ(third.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailsOf(third).info.reason(), "QUOTA_EXCEEDED");
  EXPECT_GT(DetailsOf(third).retry.retry_delay().seconds(), 100);

  EXPECT_CALL(datasets_, StoredBytes("small")).WillRepeatedly(Return(4));
  EXPECT_CALL(catalogue_, List(_, _, "")).WillRepeatedly(Return(v1::ListModelsResponse()));
  scheduler_.use = {.queued_jobs = 2, .checkpoint_bytes = 3};
  v1::CreateUploadRequest create;
  create.set_filename("x.csv");
  create.set_size_bytes(3);
  const auto make = [&](auto* c) { return v1::UploadService::NewStub(channel_)->CreateUpload(c, create, &upload); };
  EXPECT_TRUE(Call("small", make).ok()) << "4 + 3 + 3 bytes of 10";
  create.set_size_bytes(4);
  EXPECT_EQ(DetailsOf(Call("small", make)).info.reason(), "QUOTA_EXCEEDED");
  for (const artifacts::StorageCheck& check : {datasets_.storage_check, catalogue_.storage_check}) {
    ASSERT_TRUE(check != nullptr) << "imports ask, too";
    EXPECT_TRUE(check("small", 3).ok());
    EXPECT_EQ(DetailsOf(ToGrpcStatus(check("small", 4))).info.reason(), "QUOTA_EXCEEDED");
  }

  v1::CreateFineTuningJobRequest request;
  FillSpec(*request.mutable_spec());
  v1::FineTuningJob job;
  const auto queue = [&](auto* c) { return v1::FineTuningJobService::NewStub(channel_)->CreateFineTuningJob(c, request, &job); };
  EXPECT_EQ(DetailsOf(Call("small", queue)).info.reason(), "QUOTA_EXCEEDED");
  scheduler_.use.queued_jobs = 1;
  EXPECT_TRUE(Call("small", queue).ok());
  scheduler_.use.checkpoint_bytes = 6;
  EXPECT_EQ(DetailsOf(Call("small", queue)).info.reason(), "QUOTA_EXCEEDED") << "10 bytes of 10 are stored";
  request.set_validate_only(true);
  EXPECT_TRUE(Call("small", queue).ok()) << "nothing would come of it";
}

TEST_F(TenancyTest, WhatReachesTheWholeServerNeedsAllProjects) {
  v1::ListTokensResponse tokens;
  const grpc::Status denied = Call("team-a", [&](auto* c) { return v1::AdminService::NewStub(channel_)->ListTokens(c, {}, &tokens); });
  EXPECT_EQ(DetailsOf(denied).info.reason(), "PROJECT_DENIED");
  const grpc::Status backup = Call("team-a", [&](auto* c) {
    auto stub = v1::AdminService::NewStub(channel_);
    return Drain(stub->CreateBackup(c, {}));
  });
  EXPECT_EQ(DetailsOf(backup).info.reason(), "PROJECT_DENIED");
}

}  // namespace
}  // namespace attune::api
