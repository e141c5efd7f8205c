#include "server/api/system_service.h"

#include "attune/v1/prediction.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

TEST_F(ApiTest, ServerInfo) {
  scheduler_.architecture_list.add_architectures()->set_name("bert");
  scheduler_.counts = {.job_slots = 2, .running = 1, .queued = 5, .idle_workers = 1};
  auto stub = v1::SystemService::NewStub(channel_);
  v1::ServerInfo info;
  grpc::ClientContext context;
  ASSERT_TRUE(stub->GetServerInfo(&context, v1::GetServerInfoRequest(), &info).ok());
  EXPECT_EQ(info.version(), "1.2.3");
  EXPECT_EQ(info.start_time().seconds(), 5000);
  EXPECT_EQ(info.libtorch_version(), "2.11.0");
  EXPECT_EQ(info.architectures(0), "bert");
  EXPECT_EQ(info.job_slots(), 2);
  EXPECT_EQ(info.running_jobs(), 1);
  EXPECT_EQ(info.queued_jobs(), 5);
  EXPECT_EQ(info.idle_workers(), 1);
  EXPECT_GT(info.free_disk_bytes(), 0);
}

TEST_F(ApiTest, ServerInfoTellsOfTheSandbox) {
  v1::WorkerSandbox sandbox;
  sandbox.set_level(v1::WorkerSandbox::LEVEL_PARTIAL);
  sandbox.set_missing("no Landlock");
  TemporaryDirectory directory;
  StartServer({.facts = {.version = "1", .data_dir = directory.path(), .sandbox = sandbox}});
  auto stub = v1::SystemService::NewStub(channel_);
  v1::ServerInfo info;
  grpc::ClientContext context;
  ASSERT_TRUE(stub->GetServerInfo(&context, v1::GetServerInfoRequest(), &info).ok());
  EXPECT_EQ(info.worker_sandbox().level(), v1::WorkerSandbox::LEVEL_PARTIAL);
  EXPECT_EQ(info.worker_sandbox().missing(), "no Landlock");
}

TEST_F(ApiTest, ADataDirectoryThatIsGoneIsAnErrorAndNotZeroBytes) {
  StartServer({.facts = {.version = "1", .data_dir = "/no/such/directory"}});
  auto stub = v1::SystemService::NewStub(channel_);
  v1::ServerInfo info;
  grpc::ClientContext context;
  EXPECT_FALSE(stub->GetServerInfo(&context, v1::GetServerInfoRequest(), &info).ok());
}

TEST_F(ApiTest, Devices) {
  scheduler_.device_list.add_devices()->set_name("cpu");
  v1::Device* gpu = scheduler_.device_list.add_devices();
  gpu->set_name("cuda:0");
  gpu->set_unusable_reason("libtorch_cuda.so is not installed; run make setup CUDA=1");
  auto stub = v1::SystemService::NewStub(channel_);
  v1::ListDevicesResponse devices;
  grpc::ClientContext context;
  ASSERT_TRUE(stub->ListDevices(&context, v1::ListDevicesRequest(), &devices).ok());
  ASSERT_EQ(devices.devices_size(), 2);
  EXPECT_EQ(devices.devices(1).unusable_reason(), gpu->unusable_reason());
}

TEST_F(ApiTest, PredictResolvesAPlainJobToItsBestCheckpoint) {
  scheduler_.on_predict = [](const v1::PredictRequest& request) {
    v1::PredictResponse response;
    response.set_checkpoint(request.checkpoint());
    for (const auto& input : request.inputs()) response.add_predictions()->add_labels(input.text());
    return response;
  };
  auto stub = v1::PredictionService::NewStub(channel_);
  for (const auto& [asked, effective] : {std::pair("fineTuningJobs/j1", "fineTuningJobs/j1/checkpoints/best"),
                                         std::pair("fineTuningJobs/j1/checkpoints/7", "fineTuningJobs/j1/checkpoints/7")}) {
    v1::PredictRequest request;
    request.set_checkpoint(asked);
    request.add_inputs()->set_text("good");
    v1::PredictResponse response;
    grpc::ClientContext context;
    ASSERT_TRUE(stub->Predict(&context, request, &response).ok());
    EXPECT_EQ(response.checkpoint(), effective);
    EXPECT_EQ(response.predictions(0).labels(0), "good");
  }
}

TEST_F(ApiTest, PredictChecksItsFields) {
  auto stub = v1::PredictionService::NewStub(channel_);
  auto fault = [&](const std::string& checkpoint, int inputs, const std::string& text) {
    v1::PredictRequest request;
    request.set_checkpoint(checkpoint);
    for (int i = 0; i < inputs; ++i) request.add_inputs()->set_text(text);
    v1::PredictResponse response;
    grpc::ClientContext context;
    return OnlyField(stub->Predict(&context, request, &response));
  };
  EXPECT_EQ(fault("", 1, "x"), "checkpoint");
  EXPECT_EQ(fault("models/x", 1, "x"), "checkpoint");
  EXPECT_EQ(fault("fineTuningJobs/j1", 0, "x"), "inputs");
  EXPECT_EQ(fault("fineTuningJobs/j1", 257, "x"), "inputs");
  EXPECT_EQ(fault("fineTuningJobs/j1", 1, ""), "inputs[0].text");
}

TEST_F(ApiTest, PredictTakesImagesUpToTheirLimits) {
  scheduler_.on_predict = [](const v1::PredictRequest& request) {
    v1::PredictResponse response;
    for (const std::string& image : request.images()) response.add_predictions()->set_value(static_cast<double>(image.size()));
    return response;
  };
  auto stub = v1::PredictionService::NewStub(channel_);
  auto predict = [&](std::vector<size_t> sizes, v1::PredictResponse* response) {
    v1::PredictRequest request;
    request.set_checkpoint("fineTuningJobs/j1");
    for (size_t bytes : sizes) request.add_images(std::string(bytes, 'i'));
    grpc::ClientContext context;
    return stub->Predict(&context, request, response);
  };
  constexpr size_t kMost = 16 << 20;
  v1::PredictResponse response;
  grpc::Status status = predict({kMost, kMost}, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.predictions(1).value(), kMost);
  EXPECT_EQ(OnlyField(predict({kMost, kMost, 1}, &response)), "images");
  EXPECT_EQ(OnlyField(predict({kMost + 1}, &response)), "images[0]");
  EXPECT_EQ(OnlyField(predict({0}, &response)), "images[0]");
  EXPECT_EQ(OnlyField(predict(std::vector<size_t>(65, 1), &response)), "images");
  EXPECT_EQ(predict({kMost, kMost, kMost}, &response).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << "not even received";
}

}  // namespace
}  // namespace attune::api
