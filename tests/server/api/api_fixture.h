// ApiTest: the whole API on a free port of the loopback, on fakes of what lies below; and what a status says. Header-only.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "server/api/api_server.h"
#include "server/api/grpc_status.h"
#include "tests/fakes/fake_scheduler.h"
#include "tests/server/api/fake_artifact_store.h"
#include "tests/server/api/fake_event_log.h"

namespace attune::api {

class MockDatasetStore : public datasets::DatasetStore {
 public:
  MOCK_METHOD(absl::StatusOr<v1::Dataset>, Import, (const v1::ImportDatasetRequest&, const Progress&), (override));
  MOCK_METHOD(absl::StatusOr<v1::Dataset>, Get, (const std::string&), (override));
  MOCK_METHOD(absl::StatusOr<v1::ListDatasetsResponse>, List, (const ProjectSet&, int32_t, const std::string&), (override));
  MOCK_METHOD(absl::Status, Delete, (const std::string&), (override));
  MOCK_METHOD(absl::StatusOr<v1::PreviewRowsResponse>, Preview, (const v1::PreviewRowsRequest&), (override));
  MOCK_METHOD(absl::StatusOr<int64_t>, StoredBytes, (const std::string&), (override));
  MOCK_METHOD(absl::StatusOr<std::string>, Directory, (const std::string&), (override));
  MOCK_METHOD(void, SetInUseCheck, (std::function<bool(const std::string&)>), (override));
  void SetStorageCheck(artifacts::StorageCheck check) override { storage_check = std::move(check); }
  artifacts::StorageCheck storage_check;
};

class MockModelCatalogue : public catalogue::ModelCatalogue {
 public:
  MOCK_METHOD(absl::StatusOr<v1::Model>, Import, (const v1::ImportModelRequest&), (override));
  MOCK_METHOD(absl::StatusOr<v1::Model>, Get, (const std::string&), (override));
  MOCK_METHOD(absl::StatusOr<v1::ListModelsResponse>, List, (const ProjectSet&, int32_t, const std::string&), (override));
  MOCK_METHOD(absl::Status, Delete, (const std::string&), (override));
  MOCK_METHOD(absl::StatusOr<v1::DescribeLayersResponse>, DescribeLayers, (const v1::DescribeLayersRequest&), (override));
  MOCK_METHOD(absl::StatusOr<std::string>, Directory, (const std::string&), (override));
  MOCK_METHOD(absl::StatusOr<std::shared_ptr<const tokenizers::Tokenizer>>, Tokenizer, (const std::string&), (override));
  MOCK_METHOD(void, SetInUseCheck, (std::function<bool(const std::string&)>), (override));
  void SetStorageCheck(artifacts::StorageCheck check) override { storage_check = std::move(check); }
  artifacts::StorageCheck storage_check;
};

// What an error says to programs.
struct Details {
  google::rpc::Status status;
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad_request;
  google::rpc::RetryInfo retry;
};

inline Details DetailsOf(const grpc::Status& status) {
  Details details;
  EXPECT_TRUE(details.status.ParseFromString(status.error_details()));
  for (const auto& any : details.status.details()) {
    any.UnpackTo(&details.info) || any.UnpackTo(&details.bad_request) || any.UnpackTo(&details.retry);
  }
  return details;
}

// The field of the only violation, with INVALID_ARGUMENT; otherwise what else came.
inline std::string OnlyField(const grpc::Status& status) {
  if (status.error_code() != grpc::StatusCode::INVALID_ARGUMENT) return "not INVALID_ARGUMENT: " + status.error_message();
  Details details = DetailsOf(status);
  if (details.bad_request.field_violations_size() != 1) return details.bad_request.ShortDebugString();
  return details.bad_request.field_violations(0).field();
}

class ApiTest : public ::testing::Test {
 protected:
  void SetUp() override { StartServer({}); }

  void StartServer(ApiOptions options) {
    server_.reset();
    options.listen_address = "127.0.0.1:0";
    if (options.facts.data_dir.empty()) options.facts = {.version = "1.2.3", .start_time = absl::FromUnixSeconds(5000), .data_dir = "/"};
    registry_ = std::make_unique<prometheus::Registry>();
    auto server = ApiServer::Start(options, {.artifacts = artifacts_,
                                             .datasets = datasets_,
                                             .catalogue = catalogue_,
                                             .scheduler = scheduler_,
                                             .event_log = event_log_,
                                             .files = Files::Posix(),
                                             .registry = *registry_,
                                             .database = *database_,
                                             .security = security_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = NewChannel();
  }

  std::shared_ptr<grpc::Channel> NewChannel() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    return grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(), arguments);
  }

  v1::FineTuningJob PutJob(const std::string& name, v1::FineTuningJob::State state = v1::FineTuningJob::STATE_RUNNING) {
    v1::FineTuningJob job;
    job.set_name(name);
    job.set_state(state);
    scheduler_.PutJob(job);
    return job;
  }

  ApiSecurity security_;  // before StartServer
  FakeArtifactStore artifacts_;
  ::testing::StrictMock<MockDatasetStore> datasets_;
  ::testing::StrictMock<MockModelCatalogue> catalogue_;
  FakeScheduler scheduler_;
  FakeEventLog event_log_;
  std::unique_ptr<prometheus::Registry> registry_;
  TemporaryDirectory database_directory_;
  std::unique_ptr<Database> database_ = Database::Open(database_directory_.path() + "/attune.db").value();
  std::unique_ptr<ApiServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace attune::api
