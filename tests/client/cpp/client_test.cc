#include "client/cpp/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cpp/error.h"
#include "server/base/files.h"
#include "tests/client/cpp/fake_server.h"

namespace attune::client {
namespace {

using ::testing::HasSubstr;

v1::GetModelRequest ModelRequest() {
  v1::GetModelRequest request;
  request.set_name("models/m");
  return request;
}

TEST(ClientTest, RetriesWhatIsTransientAndCountsTries) {
  FakeServer server;
  server.models.get.Fail(Unavailable(), 2);
  auto model = server.Connect()->GetModel(ModelRequest());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->name(), "models/m");
  EXPECT_EQ(server.models.get.calls, 3);
  EXPECT_EQ(server.sleeps, (std::vector<absl::Duration>{absl::Seconds(0.15), absl::Seconds(0.3)}));
}

TEST(ClientTest, GivesUpAfterTheLastTryAndSaysWhere) {
  FakeServer server;
  server.models.get.Fail(Unavailable(), 9);
  ClientOptions options = server.Options();
  options.retry.max_attempts = 4;
  const absl::Status status = server.Connect(options)->GetModel(ModelRequest()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no answer from " + server.address() + " in 4 tries"));
  EXPECT_EQ(server.models.get.calls, 4);
  EXPECT_EQ(server.sleeps.size(), 3u);
}

TEST(ClientTest, DoesNotRetryWhatWouldFailAgain) {
  FakeServer server;
  server.models.get.Fail(FakeError{grpc::StatusCode::INVALID_ARGUMENT, "bad name"}.ToStatus());
  EXPECT_EQ(server.Connect()->GetModel(ModelRequest()).status().message(), "bad name");
  EXPECT_EQ(server.models.get.calls, 1);
  EXPECT_TRUE(server.sleeps.empty());
}

TEST(ClientTest, WaitsAsLongAsTheServerAsks) {
  FakeServer server;
  server.models.get.Fail(
      FakeError{.code = grpc::StatusCode::RESOURCE_EXHAUSTED, .message = "busy", .retry_after_seconds = 7}.ToStatus());
  EXPECT_TRUE(server.Connect()->GetModel(ModelRequest()).ok());
  EXPECT_EQ(server.sleeps, (std::vector<absl::Duration>{absl::Seconds(7)}));
}

TEST(ClientTest, ACreateKeepsItsRequestIdThroughRetries) {
  FakeServer server;
  server.jobs.create.Fail(Unavailable(), 2);
  auto client = server.Connect();
  ASSERT_TRUE(client->CreateFineTuningJob({}).ok());
  ASSERT_EQ(server.jobs.created.size(), 3u);
  EXPECT_FALSE(server.jobs.created[0].request_id().empty());
  EXPECT_EQ(server.jobs.created[0].request_id(), server.jobs.created[2].request_id());
  ASSERT_TRUE(client->CreateFineTuningJob({}).ok());
  EXPECT_NE(server.jobs.created[3].request_id(), server.jobs.created[0].request_id()) << "another call is another job";
  v1::CreateFineTuningJobRequest own;
  own.set_request_id("mine");
  ASSERT_TRUE(client->CreateFineTuningJob(own).ok());
  EXPECT_EQ(server.jobs.created[4].request_id(), "mine");
}

TEST(ClientTest, ADeleteWhoseAnswerWasLostHasSucceeded) {
  FakeServer server;
  const grpc::Status gone = FakeError{grpc::StatusCode::NOT_FOUND, "no such job"}.ToStatus();
  server.jobs.remove.Fail(Unavailable());
  server.jobs.remove.Fail(gone);
  auto client = server.Connect();
  EXPECT_TRUE(client->DeleteFineTuningJob({}).ok());
  server.jobs.remove.Fail(gone);
  EXPECT_EQ(client->DeleteFineTuningJob({}).code(), absl::StatusCode::kNotFound);
}

TEST(ClientTest, ACallEndsAtItsDeadline) {
  absl::Notification release;  // outlives the server, whose handler may begin to wait after the call has ended
  FakeServer server;
  server.models.block = &release;
  ClientOptions options = server.Options();
  options.call_timeout_seconds = 0.05;
  EXPECT_EQ(server.Connect(options)->GetModel(ModelRequest()).status().code(), absl::StatusCode::kDeadlineExceeded);
  release.Notify();
}

TEST(ClientTest, PredictSplitsLongLists) {
  FakeServer server;
  v1::PredictRequest request;
  request.set_checkpoint("fineTuningJobs/j1");
  for (int i = 0; i < 600; ++i) request.add_inputs()->set_text(std::to_string(i));
  auto response = server.Connect()->Predict(request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(server.prediction.requests.size(), 3u);
  EXPECT_EQ(server.prediction.requests[2].inputs_size(), 88);
  EXPECT_EQ(server.prediction.requests[2].checkpoint(), "fineTuningJobs/j1/checkpoints/30")
      << "the best may change meanwhile";
  ASSERT_EQ(response->predictions_size(), 600);
  EXPECT_EQ(response->predictions(599).labels(0), "599");
  EXPECT_EQ(response->checkpoint(), "fineTuningJobs/j1/checkpoints/30");
  EXPECT_FALSE(server.Connect()->Predict({}).ok()) << "no texts is for the server to refuse";
}

TEST(ClientTest, PredictSplitsImagesByNumberAndBytes) {
  FakeServer server;
  v1::PredictRequest request;
  request.set_checkpoint("fineTuningJobs/j1");
  for (int i = 0; i < 70; ++i) request.add_images(std::to_string(i));
  auto response = server.Connect()->Predict(request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(server.prediction.requests.size(), 2u);
  EXPECT_EQ(server.prediction.requests[0].images_size(), 64);
  EXPECT_EQ(server.prediction.requests[1].checkpoint(), "fineTuningJobs/j1/checkpoints/30");
  EXPECT_EQ(response->predictions(69).labels(0), "69");

  request.clear_images();
  for (int i = 0; i < 3; ++i) request.add_images(std::string(16 << 20, static_cast<char>('a' + i)));
  response = server.Connect()->Predict(request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(server.prediction.requests.size(), 4u);
  EXPECT_EQ(server.prediction.requests[2].images_size(), 2) << "32 MiB in a call";
  EXPECT_EQ(response->predictions(2).labels(0), std::string(20, 'c'));

  request.clear_images();
  request.add_images(std::string(33 << 20, 'x'));
  EXPECT_EQ(server.Connect()->Predict(request).status().code(), absl::StatusCode::kInvalidArgument)
      << "too large an image is for the server to refuse";
}

TEST(ClientTest, SpeaksOverARealSocket) {
  FakeServer server;
  auto client = *Client::Connect(server.Options());
  auto info = client->GetServerInfo();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->version(), "1.2.3");
}

TEST(ClientTest, AnAddressWithoutServerIsUnavailable) {
  TemporaryDirectory directory;
  FakeServer server;
  ClientOptions options = server.Options();
  options.address = "unix:" + directory.path() + "/none.sock";
  const absl::Status status = (*Client::Connect(options))->GetServerInfo().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(options.address + " in 5 tries"));
}

TEST(ClientTest, SenselessOptionsNameTheOption) {
  const struct {
    ClientOptions options;
    std::string names;
  } cases[] = {
      {{.address = ""}, "address"},
      {{.call_timeout_seconds = -1}, "call_timeout_seconds"},
      {{.retry = {.max_attempts = 0}}, "max_attempts"},
      {{.retry = {.max_backoff_seconds = std::nan("")}}, "max_backoff_seconds"},
      {{.traceparent = "line\nbreak"}, "traceparent"},
      {{.client_certificate = "pem"}, "client_key"},
      {{.client_key = "pem"}, "client_certificate"},
      {{.token = "attune_t1_secret\n"}, "token"},
      {{.token = "with blank"}, "token"},
      {{.address = "example.org:50051", .token = "attune_t1_secret"}, "plain text"},
      {{.address = "localhost.example.org:50051", .token = "attune_t1_secret"}, "plain text"},
      {{.address = "127.example.org:50051", .token = "attune_t1_secret"}, "plain text"},
  };
  for (const auto& c : cases) {
    auto client = Client::Connect(c.options);
    EXPECT_EQ(client.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(client.status().message()), HasSubstr(c.names));
  }
}

TEST(ClientTest, ATokenGoesWithEachCallAndNowhereElse) {
  FakeServer server;
  ClientOptions options = server.Options();
  options.token = "attune_t1_secret";
  auto client = Client::Connect(options);
  ASSERT_TRUE(client.ok()) << "this machine needs no TLS: " << client.status();
  ASSERT_TRUE((*client)->ListTokens({}).ok());
  ASSERT_TRUE((*Client::Connect(server.Options()))->ListTokens({}).ok());
  EXPECT_EQ(server.admin.authorizations, (std::vector<std::string>{"Bearer attune_t1_secret", ""}));
  options.address = "example.org:50051";
  options.tls = true;
  EXPECT_TRUE(Client::Connect(options).ok()) << "with TLS it may go anywhere";
  options.tls = false;
  options.allow_plaintext_token = true;
  EXPECT_TRUE(Client::Connect(options).ok());
}

TEST(ClientTest, ATokenIsMadeOnce) {
  FakeServer server;
  server.admin.create.Fail(Unavailable());
  EXPECT_EQ(server.Connect()->CreateToken({}).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server.admin.created.size(), 1u) << "the answer may have been lost, and with it the token: nobody may try again unasked";
}

TEST(ClientTest, EvaluateReportsProgressAndStartsAnewAfterACut) {
  FakeServer server;
  server.prediction.evaluate.Fail(Unavailable());
  server.prediction.ends_without_result = true;  // the second time
  server.prediction.evaluation.set_training_rows(9);
  v1::EvaluateRequest request;
  request.set_checkpoint("fineTuningJobs/j1");
  std::vector<int64_t> rows;
  auto result = server.Connect()->Evaluate(request, [&](const v1::EvaluateProgress& progress) { rows.push_back(progress.rows_done()); });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->training_rows(), 9);
  EXPECT_EQ(rows, (std::vector<int64_t>{0, 64, 0, 64, 0, 64}));
  ASSERT_EQ(server.prediction.evaluate_requests.size(), 3u);
  EXPECT_EQ(server.prediction.evaluate_requests[2].checkpoint(), "fineTuningJobs/j1");
  server.prediction.evaluate.Fail(FakeError{grpc::StatusCode::INVALID_ARGUMENT, "other classes"}.ToStatus());
  EXPECT_EQ(server.Connect()->Evaluate(request).status().message(), "other classes");
  EXPECT_EQ(server.prediction.evaluate_requests.size(), 4u);
}

}  // namespace
}  // namespace attune::client
