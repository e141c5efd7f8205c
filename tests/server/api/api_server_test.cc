#include "server/api/api_server.h"

#include <map>
#include <set>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "attune/v1/dataset.grpc.pb.h"
#include "attune/v1/system.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"
#include "gtest/gtest.h"
#include "prometheus/metric_family.h"
#include "server/metrics/metric_names.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

// A unary call by bytes, for services that have no generated stub here. The answer, or what went wrong.
std::string CallBytes(const std::shared_ptr<grpc::Channel>& channel, const std::string& method, const std::string& request) {
  grpc::GenericStub stub(channel);
  grpc::Slice slice(request);
  grpc::ByteBuffer request_bytes(&slice, 1), response_bytes;
  grpc::ClientContext context;
  absl::Notification done;
  grpc::Status status;
  stub.UnaryCall(&context, method, {}, &request_bytes, &response_bytes, [&](grpc::Status s) {
    status = std::move(s);
    done.Notify();
  });
  done.WaitForNotification();
  if (!status.ok()) return "error: " + status.error_message();
  grpc::Slice whole;
  if (!response_bytes.DumpToSingleSlice(&whole).ok()) return "error: no bytes";
  return std::string(reinterpret_cast<const char*>(whole.begin()), whole.size());
}

// grpc.health.v1: HealthCheckRequest{service = 1}, HealthCheckResponse{status = 1}; 1 is SERVING, 2 NOT_SERVING.
std::string Health(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  std::string request = service.empty() ? "" : std::string("\x0a") + static_cast<char>(service.size()) + service;
  return CallBytes(channel, "/grpc.health.v1.Health/Check", request);
}

constexpr char kServing[] = "\x08\x01";
constexpr char kNotServing[] = "\x08\x02";
const char* const kServices[] = {"attune.v1.UploadService",     "attune.v1.DatasetService",    "attune.v1.ModelService",
                                 "attune.v1.FineTuningJobService", "attune.v1.CheckpointService", "attune.v1.PredictionService",
                                 "attune.v1.SystemService"};

TEST_F(ApiTest, HealthOfTheServerAndOfEachService) {
  EXPECT_EQ(Health(channel_, ""), kServing);
  for (const char* service : kServices) EXPECT_EQ(Health(channel_, service), kServing) << service;
  EXPECT_EQ(Health(channel_, "attune.v1.NoSuchService").substr(0, 6), "error:");
  server_->SetServing(false);
  EXPECT_EQ(Health(channel_, ""), kNotServing);
  for (const char* service : kServices) EXPECT_EQ(Health(channel_, service), kNotServing) << service;
}

// grpc.reflection.v1alpha: the request's list_services (7), whose answer holds the names.
TEST_F(ApiTest, ReflectionListsTheServices) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(&context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  auto wait = [&queue] {
    void* tag;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  ASSERT_TRUE(wait());
  grpc::Slice slice("\x3a\x01*");
  grpc::ByteBuffer request(&slice, 1), response;
  call->Write(request, nullptr);
  ASSERT_TRUE(wait());
  call->Read(&response, nullptr);
  ASSERT_TRUE(wait());
  grpc::Slice whole;
  ASSERT_TRUE(response.DumpToSingleSlice(&whole).ok());
  std::string answer(reinterpret_cast<const char*>(whole.begin()), whole.size());
  for (const char* service : kServices) EXPECT_NE(answer.find(service), std::string::npos) << service;
  call->WritesDone(nullptr);
  ASSERT_TRUE(wait());
  grpc::Status status;
  call->Finish(&status, nullptr);
  ASSERT_TRUE(wait());
  EXPECT_TRUE(status.ok());
}

TEST_F(ApiTest, CallsAreCountedByMethodAndCode) {
  auto stub = v1::SystemService::NewStub(channel_);
  for (int i = 0; i < 3; ++i) {
    grpc::ClientContext context;
    v1::ListDevicesResponse devices;
    ASSERT_TRUE(stub->ListDevices(&context, v1::ListDevicesRequest(), &devices).ok());
  }
  auto datasets = v1::DatasetService::NewStub(channel_);
  grpc::ClientContext context;
  v1::Dataset dataset;
  datasets->GetDataset(&context, v1::GetDatasetRequest(), &dataset);
  server_.reset();  // all calls have ended then, also as gRPC sees it

  std::map<std::string, double> calls, active, timed;
  for (const auto& family : registry_->Collect()) {
    for (const auto& metric : family.metric) {
      std::string labels;
      for (const auto& label : metric.label) labels += label.value + " ";
      if (family.name == "attune_rpc_total") calls[labels] = metric.counter.value;
      if (family.name == "attune_rpc_active") active[labels] = metric.gauge.value;
      if (family.name == "attune_rpc_seconds") timed[labels] = static_cast<double>(metric.histogram.sample_count);
    }
  }
  EXPECT_EQ(calls["OK attune.v1.SystemService/ListDevices "], 3) << ::testing::PrintToString(calls);
  EXPECT_EQ(calls["INVALID_ARGUMENT attune.v1.DatasetService/GetDataset "], 1) << ::testing::PrintToString(calls);
  EXPECT_EQ(calls.count("INTERNAL attune.v1.SystemService/ListDevices "), 1u) << "an increase is seen only of a series that was there before";
  EXPECT_EQ(calls["INTERNAL attune.v1.SystemService/ListDevices "], 0);
  EXPECT_EQ(timed["attune.v1.SystemService/ListDevices "], 3);
  EXPECT_EQ(active.at("attune.v1.SystemService/ListDevices "), 0);
  EXPECT_TRUE(metrics::CheckMetricNames(*registry_).ok()) << metrics::CheckMetricNames(*registry_);
}

TEST_F(ApiTest, AnAddressInUseIsAnErrorThatSaysSo) {
  auto second = ApiServer::Start({.listen_address = server_->address()}, {.artifacts = artifacts_,
                                                                           .datasets = datasets_,
                                                                           .catalogue = catalogue_,
                                                                           .scheduler = scheduler_,
                                                                           .event_log = event_log_,
                                                                           .files = Files::Posix(),
                                                                           .registry = *registry_,
                                                                           .database = *database_});
  ASSERT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(std::string(second.status().message()).find(server_->address()), std::string::npos) << second.status();
}

TEST_F(ApiTest, AShutdownDoesNotWaitForImportsButSaysThatTheyRun) {
  absl::Notification began, go;
  EXPECT_CALL(datasets_, Import).WillOnce([&](const auto&, const auto&) {
    began.Notify();
    go.WaitForNotification();
    return v1::Dataset();
  });
  auto stub = v1::DatasetService::NewStub(channel_);
  v1::ImportDatasetRequest request;
  request.add_files()->set_upload("uploads/u1");
  grpc::ClientContext context;
  auto reader = stub->ImportDataset(&context, request);
  began.WaitForNotification();
  EXPECT_FALSE(server_->Shutdown(absl::Milliseconds(10)));
  v1::ImportDatasetResponse message;
  EXPECT_FALSE(reader->Read(&message));
  EXPECT_FALSE(reader->Finish().ok());
  go.Notify();
  server_.reset();
}

}  // namespace
}  // namespace attune::api
