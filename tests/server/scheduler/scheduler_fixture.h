// A scheduler on fakes, with the test in the place of clients and workers.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "server/base/files.h"
#include "server/jobs/job_event_log.h"
#include "server/jobs/job_state.h"
#include "server/scheduler/scheduler.h"
#include "tests/fakes/fake_worker_pool.h"
#include "tests/fakes/fault_injecting_files.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_job_store.h"
#include "tests/server/scheduler/fake_stores.h"

namespace attune::scheduler {

using State = v1::FineTuningJob;

class SchedulerFixture : public ::testing::Test {
 protected:
  void SetUp() override { Start(); }
  void TearDown() override { Stop(); }

  void Start(SchedulerOptions options = {}) {
    options.data_directory = directory_.path();
    events_ = jobs::JobEventLog::Create(store_, clock_).value();
    pool_ = std::make_unique<workers::FakeWorkerPool>();
    pool_->SetStatus({.idle = idle_at_start_});
    registry_ = std::make_unique<prometheus::Registry>();
    SchedulerDependencies dependencies = {store_, *events_, *pool_, models_, datasets_, files_, clock_};
    dependencies.registry = registry_.get();
    scheduler_ = Scheduler::Create(options, dependencies, Description()).value();
  }
  void Stop() {
    scheduler_ = nullptr;
    pool_ = nullptr;
    events_ = nullptr;
  }
  // As a kill would: what is durable at this moment is all that the next server has.
  void Crash(SchedulerOptions options = {}) {
    ASSERT_TRUE(events_->Flush().ok());
    store_.FailCommits(absl::InternalError("the process is dead"));
    Stop();
    store_.ClearFault();
    Start(options);
  }

  static workers::WorkerDescription Description() {
    workers::WorkerDescription description;
    description.libtorch_version = "2.11.0";
    v1::Architecture& architecture = *description.architectures.add_architectures();
    architecture.set_name("bert");
    architecture.add_tasks("text-classification");
    v1::Architecture& of_images = *description.architectures.add_architectures();
    of_images.set_name("resnet50");
    of_images.add_tasks("image-classification");
    v1::Device& cpu = *description.devices.add_devices();
    cpu.set_name("cpu");
    cpu.set_usable(true);
    cpu.set_cores(2);
    return description;
  }

  static v1::CreateFineTuningJobRequest Request() {
    v1::CreateFineTuningJobRequest request;
    request.mutable_spec()->set_base_model("models/mini");
    request.mutable_spec()->set_dataset("datasets/tweets");
    return request;
  }

  // Attempts that fail are final, and lost ones are repeated at once.
  static v1::CreateFineTuningJobRequest WithoutRetries() {
    v1::CreateFineTuningJobRequest request = Request();
    v1::RetryPolicy& policy = *request.mutable_spec()->mutable_scheduling()->mutable_retry_policy();
    policy.set_max_resource_retries(0);
    policy.set_max_system_retries(0);
    policy.set_backoff_seconds(0);
    return request;
  }

  static v1::CreateFineTuningJobRequest ImageRequest() {
    v1::CreateFineTuningJobRequest request;
    request.mutable_spec()->set_base_model("models/photo");
    request.mutable_spec()->set_dataset("datasets/flowers");
    return request;
  }

  // Synchronous calls -------------------------------------------------------------------------------------------------
  template <typename Result>
  struct Waiter {
    absl::Notification there;
    Result result;
    Result Wait() {
      there.WaitForNotification();
      return std::move(result);
    }
  };
  absl::StatusOr<v1::FineTuningJob> Create(v1::CreateFineTuningJobRequest request = Request(), absl::Status admission = absl::OkStatus()) {
    Waiter<absl::StatusOr<v1::FineTuningJob>> waiter;
    scheduler_->CreateJob(std::move(request), std::move(admission), [&](auto job) { waiter.result = std::move(job); waiter.there.Notify(); });
    return waiter.Wait();
  }
  absl::StatusOr<v1::FineTuningJob> Cancel(const std::string& name) {
    Waiter<absl::StatusOr<v1::FineTuningJob>> waiter;
    scheduler_->CancelJob(name, [&](auto job) { waiter.result = std::move(job); waiter.there.Notify(); });
    return waiter.Wait();
  }
  absl::Status Delete(const std::string& name) {
    Waiter<absl::Status> waiter;
    scheduler_->DeleteJob(name, [&](absl::Status status) { waiter.result = std::move(status); waiter.there.Notify(); });
    return waiter.Wait();
  }
  absl::Status DeleteCheckpoint(const std::string& name) {
    Waiter<absl::Status> waiter;
    scheduler_->DeleteCheckpoint(name, [&](absl::Status status) { waiter.result = std::move(status); waiter.there.Notify(); });
    return waiter.Wait();
  }
  absl::StatusOr<v1::Checkpoint> Pin(const std::string& name, bool pinned = true, const std::string& path = "pinned") {
    v1::UpdateCheckpointRequest request;
    request.mutable_checkpoint()->set_name(name);
    request.mutable_checkpoint()->set_pinned(pinned);
    if (!path.empty()) request.mutable_update_mask()->add_paths(path);
    Waiter<absl::StatusOr<v1::Checkpoint>> waiter;
    scheduler_->UpdateCheckpoint(std::move(request), [&](auto checkpoint) { waiter.result = std::move(checkpoint); waiter.there.Notify(); });
    return waiter.Wait();
  }
  absl::StatusOr<v1::PredictResponse> Predict(v1::PredictRequest request) {
    Waiter<absl::StatusOr<v1::PredictResponse>> waiter;
    scheduler_->Predict(std::move(request), [&](auto response) { waiter.result = std::move(response); waiter.there.Notify(); });
    return waiter.Wait();
  }
  v1::FineTuningJob Get(const std::string& name) { return scheduler_->GetJob(name).value(); }

  // Waiting on events -------------------------------------------------------------------------------------------------
  static std::string IdOf(const std::string& name) { return name.substr(name.rfind('/') + 1); }
  // Follows the job's events from the start until `wanted` says yes; returns that event.
  template <typename Wanted>
  v1::JobEvent WaitForEvent(const std::string& name, Wanted wanted) {
    absl::Mutex mutex;
    bool awake = false;
    auto subscription = events_->Subscribe(IdOf(name), 0, [&] {
                                 absl::MutexLock lock(&mutex);
                                 awake = true;
                               }).value();
    while (true) {
      auto items = subscription->Take(100).value();
      for (const auto& item : items) {
        v1::WatchFineTuningJobResponse response;
        EXPECT_TRUE(response.ParseFromString(*item.event.bytes));
        if (wanted(response.event())) return response.event();
      }
      if (!items.empty()) continue;
      absl::MutexLock lock(&mutex);
      mutex.Await(absl::Condition(&awake));
      awake = false;
    }
  }
  // The nth time that the job enters the state.
  v1::JobEvent WaitForState(const std::string& name, State::State state, int n = 1) {
    return WaitForEvent(name, [&](const v1::JobEvent& event) { return event.state_changed().to() == jobs::StateName(state) && --n == 0; });
  }
  v1::JobEvent WaitForCheckpoint(const std::string& name, int64_t step) {
    return WaitForEvent(name, [&](const v1::JobEvent& event) { return event.checkpoint_saved().step() == step; });
  }
  std::vector<v1::JobEvent> Events(const std::string& name) {
    EXPECT_TRUE(events_->Flush().ok());
    return events_->List(IdOf(name), 0, 10000).value();
  }
  std::vector<std::string> States(const std::string& name) {
    std::vector<std::string> states;
    for (const v1::JobEvent& event : Events(name)) {
      if (event.has_state_changed()) states.push_back(event.state_changed().to());
    }
    return states;
  }
  // Everything that was posted to the scheduler before has been handled, and jobs are placed: a validation goes through the same queue, and a second one behind
  // the placement that follows the first.
  void Settle() {
    v1::CreateFineTuningJobRequest request = Request();
    request.set_validate_only(true);
    for (int i = 0; i < 2; ++i) (void)Create(request);
  }

  // As a worker -------------------------------------------------------------------------------------------------------
  static workers::AttemptId AttemptOf(const worker::v1::Assign& assigned) { return {assigned.fence().job(), assigned.fence().attempt()}; }
  static worker::v1::ConnectRequest Message(const worker::v1::Assign& assigned) {
    worker::v1::ConnectRequest message;
    *message.mutable_fence() = assigned.fence();
    return message;
  }
  void SayStarted(const worker::v1::Assign& assigned, int64_t resumed_from = 0) {
    worker::v1::ConnectRequest message = Message(assigned);
    message.mutable_started()->set_device("cpu");
    message.mutable_started()->set_threads(2);
    message.mutable_started()->set_resumed_from_step(resumed_from);
    pool_->Say(message);
  }
  void SayMetrics(const worker::v1::Assign& assigned, int64_t step) {
    worker::v1::ConnectRequest message = Message(assigned);
    message.mutable_metrics()->set_step(step);
    (*message.mutable_metrics()->mutable_values())["loss"] = 0.5;
    pool_->Say(message);
  }
  std::string CheckpointPath(const std::string& job, int64_t step) {
    return directory_.path() + "/jobs/" + IdOf(job) + "/checkpoints/step-" + std::to_string(step);
  }
  // Not through files_, whose faults are for the scheduler, and without the fsyncs of a real worker.
  void WriteCheckpointFiles(const std::string& path, int64_t step) {
    std::string weights = "weights of step " + std::to_string(step);
    std::filesystem::create_directories(path);
    std::ofstream(path + "/model.safetensors") << weights;
    std::ofstream(path + "/optimizer.safetensors") << "moments";
    std::ofstream(path + "/manifest.json") << "{\"step\": " << step << ", \"files\": [{\"path\": \"model.safetensors\", \"size_bytes\": " << weights.size()
                                           << ", \"purpose\": \"weights\"}, {\"path\": \"optimizer.safetensors\", \"size_bytes\": 7, \"purpose\": \"resume\"}]}";
  }
  void SayCheckpoint(const worker::v1::Assign& assigned, int64_t step, bool is_best = false, double accuracy = 0.5) {
    worker::v1::ConnectRequest message = Message(assigned);
    message.mutable_checkpoint_written()->set_step(step);
    message.mutable_checkpoint_written()->set_directory("step-" + std::to_string(step));
    message.mutable_checkpoint_written()->set_is_best(is_best);
    (*message.mutable_checkpoint_written()->mutable_metrics())["accuracy"] = accuracy;
    pool_->Say(message);
  }
  // Writes it and waits until it is registered.
  void Save(const worker::v1::Assign& assigned, int64_t step, bool is_best = false, double accuracy = 0.5) {
    WriteCheckpointFiles(CheckpointPath(assigned.fence().job(), step), step);
    SayCheckpoint(assigned, step, is_best, accuracy);
    WaitForCheckpoint(assigned.fence().job(), step);
  }
  void Finish(const worker::v1::Assign& assigned, int64_t best_step, bool cancelled = false) {
    worker::v1::Finished finished;
    finished.set_best_step(best_step);
    finished.set_cancelled(cancelled);
    pool_->End(AttemptOf(assigned), finished);
  }
  void Fail(const worker::v1::Assign& assigned, v1::FailureInfo::Category category, bool retryable = true) {
    worker::v1::Failed failed;
    failed.set_category(category);
    failed.set_code(13);
    failed.set_message("the device is not well");
    failed.set_retryable(retryable);
    failed.set_step(7);
    pool_->End(AttemptOf(assigned), failed, {"last", "words"});
  }
  void Lose(const worker::v1::Assign& assigned) {
    pool_->End(AttemptOf(assigned), workers::WorkerLost{workers::ExitReason::kKilled, "the worker was killed by signal 9 (SIGKILL)"}, {"last", "words"});
  }
  // A job that runs on the nth assignment.
  worker::v1::Assign Run(size_t n = 1, v1::CreateFineTuningJobRequest request = Request()) {
    EXPECT_TRUE(Create(std::move(request)).ok());
    worker::v1::Assign assigned = pool_->WaitForAssign(n);
    SayStarted(assigned);
    WaitForState(assigned.fence().job(), State::STATE_RUNNING);
    return assigned;
  }
  std::vector<int64_t> CheckpointSteps(const std::string& job) {
    v1::ListCheckpointsRequest request;
    request.set_parent(job);
    std::vector<int64_t> steps;
    v1::ListCheckpointsResponse response = scheduler_->ListCheckpoints(request).value();
    for (const v1::Checkpoint& checkpoint : response.checkpoints()) steps.push_back(checkpoint.step());
    return steps;  // newest first
  }

  int idle_at_start_ = 1;
  TemporaryDirectory directory_;
  FaultInjectingFiles files_;
  ManualClock clock_;
  jobs::MemoryJobStore store_;
  FakeCatalogue models_;
  FakeDatasets datasets_;
  std::unique_ptr<jobs::JobEventLog> events_;
  std::unique_ptr<workers::FakeWorkerPool> pool_;
  std::unique_ptr<prometheus::Registry> registry_;  // of the present scheduler's metrics
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace attune::scheduler
