// The real program against a fake server: its life from hello to exit.
#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "server/base/files.h"
#include "server/base/sha256.h"
#include "server/base/subprocess.h"
#include "server/training/worker/process_guard.h"
#include "server/workers/sandbox/capability.h"
#include "tests/training/worker/fake_server.h"
#include "tests/training/worker/tiny_job_files.h"

namespace attune::training {
namespace {

using ::testing::HasSubstr;

std::string WorkerPath() {
  const char* path = std::getenv("ATTUNE_WORKER");
  return path != nullptr ? path : "";
}

constexpr char kSpec[] = R"pb(
  base_model: "models/tiny" task: TASK_TEXT_CLASSIFICATION
  hyperparameters { batch_size: 8 learning_rate: 5e-3 max_length: 32 }
  phases { name: "head" n_epochs: 1 trainable { head_only: true } learning_rate: 1e-2 }
  phases { name: "all" n_epochs: 2 trainable { all: true } layer_decay: 0.9 }
  evaluation { metric_for_best_model: "accuracy" }
  resources { device: "cpu" threads: 1 })pb";

class WorkerProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (WorkerPath().empty()) GTEST_SKIP() << "ATTUNE_WORKER does not name the worker program; run through ctest";
    WriteTinyJobFiles(directory_.path());
    server_ = std::make_unique<FakeServer>();
    Launch();
  }

  void Launch(const std::string& sandbox = "off") {
    auto process = Subprocess::Start({.argv = {WorkerPath(), "--server", server_->address(), "--worker-id", "w"},
                                      .extra_env = {{"ATTUNE_WORKER_SECRET", "s"}, {"ATTUNE_WORKER_SANDBOX", sandbox}, {"ATTUNE_WORKER_DATA", directory_.path()}}});
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
  }

  FakeServer::Response Assign(int attempt, const std::string& output, const std::string& resume_dir = "", const std::string& spec = kSpec) {
    FakeServer::Response message;
    auto& assign = *message.mutable_assign();
    assign.mutable_fence()->set_job("fineTuningJobs/j");
    assign.mutable_fence()->set_attempt(attempt);
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(spec, assign.mutable_effective_spec()));
    assign.set_model_dir(directory_.path() + "/model");
    assign.set_dataset_dir(directory_.path() + "/dataset");
    assign.set_output_dir(directory_.path() + "/" + output);
    assign.set_resume_dir(resume_dir);
    return message;
  }
  std::string Checkpoint(const std::string& output, int64_t step) { return directory_.path() + "/" + output + "/checkpoints/step-" + std::to_string(step); }

  void Shutdown() {
    FakeServer::Response message;
    message.mutable_shutdown();
    server_->Send(message);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<FakeServer> server_;
  std::unique_ptr<Subprocess> process_;
};

TEST_F(WorkerProcessTest, TrainsPredictsAndExits) {
  server_->Send(Assign(1, "out"));
  const auto finished = server_->WaitFor([](const auto& m) { return m.has_finished() || m.has_failed(); });
  ASSERT_TRUE(finished.has_finished()) << finished.DebugString();
  EXPECT_FALSE(finished.finished().cancelled());
  EXPECT_EQ(finished.finished().test_evaluation().rows(), 20);
  const auto messages = server_->messages();
  const auto count = [&](auto fits) { return std::count_if(messages.begin(), messages.end(), fits); };
  EXPECT_EQ(count([](const auto& m) { return m.has_started(); }), 1);
  EXPECT_EQ(count([](const auto& m) { return m.has_phase_started(); }), 2);
  EXPECT_EQ(count([](const auto& m) { return m.has_checkpoint_written(); }), 3);
  EXPECT_GE(count([](const auto& m) { return m.has_metrics(); }), 18);

  FakeServer::Response predict;
  predict.mutable_predict()->set_request(9);
  predict.mutable_predict()->set_checkpoint_dir(Checkpoint("out", finished.finished().best_step()));
  predict.mutable_predict()->add_inputs()->set_text("the movie is good");
  server_->Send(predict);
  const auto answer = server_->WaitFor([](const auto& m) { return m.has_predict_done(); });
  EXPECT_EQ(answer.predict_done().request(), 9);
  EXPECT_EQ(answer.predict_done().predictions_size(), 1);
  EXPECT_EQ(answer.predict_done().code(), 0);

  FakeServer::Response evaluate;
  evaluate.mutable_evaluate()->set_request(10);
  evaluate.mutable_evaluate()->set_checkpoint_dir(Checkpoint("out", finished.finished().best_step()));
  evaluate.mutable_evaluate()->set_dataset_dir(directory_.path() + "/dataset");
  evaluate.mutable_evaluate()->set_suspect_count(3);
  server_->Send(evaluate);
  const auto evaluated = server_->WaitFor([](const auto& m) { return m.has_evaluate_done(); }).evaluate_done();
  EXPECT_EQ(evaluated.request(), 10);
  EXPECT_EQ(evaluated.code(), 0) << evaluated.error();
  EXPECT_EQ(evaluated.result().evaluation().rows(), 20);
  EXPECT_EQ(evaluated.result().training_rows(), 43);
  EXPECT_NEAR(evaluated.result().evaluation().values().at("accuracy"), finished.finished().test_evaluation().values().at("accuracy"), 1e-9);
  EXPECT_EQ(server_->WaitFor([](const auto& m) { return m.has_evaluate_progress(); }).evaluate_progress().progress().rows_total(), 63);

  Shutdown();
  const ExitStatus status = process_->Wait();
  EXPECT_FALSE(status.signaled);
  EXPECT_EQ(status.code, 0);
}

TEST_F(WorkerProcessTest, AnswersAProbeAndExits) {
  FakeServer::Response message;
  message.mutable_probe()->set_request(4);
  *message.mutable_probe()->mutable_assignment() = Assign(1, "scratch").assign();
  message.mutable_probe()->mutable_assignment()->clear_fence();
  server_->Send(message);
  const auto answer = server_->WaitFor([](const auto& m) { return m.has_probe_done(); }).probe_done();
  EXPECT_EQ(answer.request(), 4);
  ASSERT_EQ(answer.code(), 0) << answer.error();
  EXPECT_TRUE(answer.plan().fits());
  EXPECT_EQ(answer.plan().total_steps(), 18);
  EXPECT_EQ(answer.plan().phases_size(), 2);
  EXPECT_GT(answer.plan().memory().peak_bytes(), answer.plan().memory().runtime_bytes());
  EXPECT_EQ(process_->Wait().code, 0) << "without being told to";
}

TEST_F(WorkerProcessTest, AProbeThatFailsSaysWhy) {
  FakeServer::Response message;
  message.mutable_probe()->set_request(4);
  *message.mutable_probe()->mutable_assignment() = Assign(1, "scratch").assign();
  message.mutable_probe()->mutable_assignment()->set_model_dir("/nowhere");
  server_->Send(message);
  const auto answer = server_->WaitFor([](const auto& m) { return m.has_probe_done(); }).probe_done();
  EXPECT_NE(answer.code(), 0);
  EXPECT_THAT(answer.error(), HasSubstr("/nowhere"));
}

TEST_F(WorkerProcessTest, ProgressEndsWithThePeakOfMemory) {
  server_->Send(Assign(1, "out"));
  server_->WaitFor([](const auto& m) { return m.has_finished(); });
  FakeServer::Request last;
  for (const auto& message : server_->messages()) {
    if (message.has_progress()) last = message;
  }
  EXPECT_EQ(last.progress().step(), 18);
  EXPECT_GT(last.progress().peak_memory_bytes(), 10 << 20);
}

TEST_F(WorkerProcessTest, AFailureSaysWhatToDoAndTheWorkerGoesOn) {
  server_->Send(Assign(1, "out", "", std::string(kSpec) + " phases { name: 'bad' n_epochs: 1 trainable { all: true freeze: 'embedings.*' } }"));
  const auto failed = server_->WaitFor([](const auto& m) { return m.has_finished() || m.has_failed(); });
  ASSERT_TRUE(failed.has_failed());
  EXPECT_EQ(failed.failed().category(), v1::FailureInfo::CATEGORY_USER);
  EXPECT_EQ(failed.failed().code(), 3);
  EXPECT_THAT(failed.failed().message(), HasSubstr("embedings"));
  server_->Send(Assign(2, "out"));
  EXPECT_TRUE(server_->WaitFor([](const auto& m) { return m.fence().attempt() == 2 && (m.has_finished() || m.has_failed()); }).has_finished());
}

// A worker that is told to go saves and says nothing; another goes on, and the end is that of an undisturbed run.
TEST_F(WorkerProcessTest, SuspendedAndResumedElsewhere) {
  server_->Send(Assign(1, "whole"));
  const auto whole = server_->WaitFor([](const auto& m) { return m.has_finished(); });

  server_->Send(Assign(2, "cut"));
  server_->WaitFor([](const auto& m) { return m.fence().attempt() == 2 && m.has_metrics(); });
  Shutdown();
  EXPECT_EQ(process_->Wait().code, 0);
  int64_t last = 0;
  bool finished = false;
  for (const auto& message : server_->messages()) {
    if (message.fence().attempt() != 2) continue;
    if (message.has_checkpoint_written()) last = message.checkpoint_written().step();
    finished = finished || message.has_finished();
  }
  ASSERT_GT(last, 0);
  if (finished) GTEST_SKIP() << "it was quicker than the shutdown";

  server_ = std::make_unique<FakeServer>();
  Launch();
  server_->Send(Assign(3, "cut", Checkpoint("cut", last)));
  const auto resumed = server_->WaitFor([](const auto& m) { return m.has_finished() || m.has_failed(); });
  ASSERT_TRUE(resumed.has_finished()) << resumed.DebugString();
  EXPECT_EQ(resumed.finished().best_step(), whole.finished().best_step());
  EXPECT_EQ(*Sha256OfFile(Checkpoint("cut", 18) + "/model.safetensors"), *Sha256OfFile(Checkpoint("whole", 18) + "/model.safetensors"));
}

TEST_F(WorkerProcessTest, CancelledInTheMiddle) {
  server_->Send(Assign(1, "out", "", std::string(kSpec) + " phases { name: 'long' n_epochs: 1000 trainable { all: true } }"));
  server_->WaitFor([](const auto& m) { return m.has_metrics() && m.metrics().phase() == "long"; });
  FakeServer::Response cancel;
  cancel.mutable_cancel()->mutable_fence()->set_job("fineTuningJobs/j");
  cancel.mutable_cancel()->mutable_fence()->set_attempt(1);
  server_->Send(cancel);
  const auto finished = server_->WaitFor([](const auto& m) { return m.has_finished(); });
  EXPECT_TRUE(finished.finished().cancelled());
  int64_t last = 0;
  for (const auto& message : server_->messages()) {
    if (message.has_checkpoint_written()) last = message.checkpoint_written().step();
  }
  EXPECT_GT(last, 18);
  EXPECT_TRUE(FileExists(Checkpoint("out", last) + "/manifest.json"));
}

TEST_F(WorkerProcessTest, ExitsWhenTheStreamIsLostInTheMiddle) {
  server_->Send(Assign(1, "out", "", std::string(kSpec) + " phases { name: 'long' n_epochs: 1000 trainable { all: true } }"));
  server_->WaitFor([](const auto& m) { return m.has_metrics(); });
  server_->Cut();
  const ExitStatus status = process_->Wait();
  EXPECT_FALSE(status.signaled);
  EXPECT_EQ(status.code, kExitStreamLost);
}

TEST_F(WorkerProcessTest, ShutInItTrainsAndTakesNoOtherFiles) {
  if (workers::AskKernel().level() != workers::SandboxLevel::kFull) GTEST_SKIP() << workers::AskKernel().missing;
  // The folders of a server's data directory.
  std::filesystem::create_symlink("model", directory_.path() + "/models");
  std::filesystem::create_symlink("dataset", directory_.path() + "/datasets");
  std::filesystem::create_directories(directory_.path() + "/jobs/out");
  server_ = std::make_unique<FakeServer>();
  Launch("required");
  server_->Send(Assign(1, "jobs/out"));
  const auto finished = server_->WaitFor([](const auto& m) { return m.has_finished() || m.has_failed(); });
  ASSERT_TRUE(finished.has_finished()) << finished.DebugString();
  FakeServer::Response predict;
  predict.mutable_predict()->set_request(9);
  predict.mutable_predict()->set_checkpoint_dir(Checkpoint("jobs/out", finished.finished().best_step()));
  predict.mutable_predict()->add_inputs()->set_text("the movie is good");
  server_->Send(predict);
  const auto answer = server_->WaitFor([](const auto& m) { return m.has_predict_done(); }).predict_done();
  EXPECT_THAT(answer.error(), HasSubstr("bound to the files of another request"));
  EXPECT_EQ(process_->Wait().code, kExitSandbox);
}

TEST_F(WorkerProcessTest, ASandboxThatItDoesNotKnowEndsIt) {
  server_ = std::make_unique<FakeServer>();
  Launch("sometimes");
  EXPECT_EQ(process_->Wait().code, kExitSandbox);
}

TEST(Worker, DescribesItself) {
  if (WorkerPath().empty()) GTEST_SKIP() << "ATTUNE_WORKER does not name the worker program; run through ctest";
  auto process = Subprocess::Start({.argv = {WorkerPath(), "--describe"}, .capture_stdout = true});
  ASSERT_TRUE(process.ok());
  const auto out = (*process)->ReadStdoutToEnd();
  ASSERT_TRUE(out.ok());
  EXPECT_EQ((*process)->Wait().code, 0);
  const auto json = nlohmann::json::parse(*out);
  EXPECT_THAT(json["libtorch_version"].get<std::string>(), HasSubstr("2."));
  EXPECT_EQ(json["architectures"][0]["name"], "bert");
  EXPECT_FALSE(json["architectures"][0]["tasks"].empty());
  EXPECT_EQ(json["devices"][0]["name"], "cpu");
  EXPECT_TRUE(json["devices"][0]["usable"].get<bool>());
  for (const auto& device : json["devices"]) EXPECT_NE(device["usable"].get<bool>(), !device["unusable_reason"].get<std::string>().empty());
}

TEST(Worker, RefusesToRunAlone) {
  if (WorkerPath().empty()) GTEST_SKIP() << "ATTUNE_WORKER does not name the worker program; run through ctest";
  auto process = Subprocess::Start({.argv = {WorkerPath()}, .capture_stderr = true});
  ASSERT_TRUE(process.ok());
  EXPECT_EQ((*process)->Wait().code, kExitUsage);
}

}  // namespace
}  // namespace attune::training
