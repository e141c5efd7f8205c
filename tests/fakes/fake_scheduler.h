// FakeScheduler: jobs and checkpoints that a test puts in, and answers that it scripts. Header-only. Thread-safe. Runs callbacks on a
// thread of its own, never from within the call (the real one does so when it refuses at once).
//
//   FakeScheduler scheduler;
//   scheduler.PutJob(job);                     // GetJob, ListJobs, CancelJob, DeleteJob know it
//   scheduler.PutCheckpoint(checkpoint, directory);
//   scheduler.on_predict = [](const v1::PredictRequest& request) -> absl::StatusOr<v1::PredictResponse> { ... };
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/base/str_cat.h"
#include "server/scheduler/scheduler.h"

namespace attune {

class FakeScheduler final : public scheduler::Scheduler {
 public:
  FakeScheduler() : thread_([this] { Work(); }) {}
  ~FakeScheduler() override {
    Post(nullptr);
    thread_.join();
  }

  // What calls answer; a job of the given spec by default.
  std::function<absl::StatusOr<v1::FineTuningJob>(const v1::CreateFineTuningJobRequest&)> on_create;
  scheduler::ProjectUse use;  // of every project
  std::function<absl::StatusOr<v1::PredictResponse>(const v1::PredictRequest&)> on_predict;
  // Answers in its own time; the canceller notes that it was called.
  std::function<void(const v1::EvaluateRequest&, scheduler::EvaluateCallbacks)> on_evaluate;
  std::atomic<int> cancelled_evaluations = 0;
  // The same for plans.
  std::function<void(const v1::PlanFineTuningJobRequest&, std::function<void(absl::StatusOr<v1::PlanFineTuningJobResponse>)>)> on_plan;
  std::atomic<int> cancelled_plans = 0;
  v1::ListArchitecturesResponse architecture_list;
  v1::ListDevicesResponse device_list;
  scheduler::SchedulerCounts counts;
  std::atomic<int> drains = 0;

  void PutJob(v1::FineTuningJob job) {
    absl::MutexLock lock(&mutex_);
    std::string name = job.name();
    jobs_[name] = std::move(job);
  }
  // What is said of its waiting has changed. Without a call of this, nothing is said of it.
  void PutWaiting(v1::FineTuningJob job) {
    absl::MutexLock lock(&mutex_);
    std::string name = job.name();
    ++waiting_[name];
    jobs_[name] = std::move(job);
  }
  void PutCheckpoint(v1::Checkpoint checkpoint, std::string directory) {
    absl::MutexLock lock(&mutex_);
    std::string name = checkpoint.name();
    checkpoints_[name] = {std::move(checkpoint), std::move(directory)};
  }

  void CreateJob(v1::CreateFineTuningJobRequest request, absl::Status admission,
                 std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) override {
    Post([this, request = std::move(request), admission = std::move(admission), done = std::move(done)] {
      if (!admission.ok()) return done(admission);
      if (on_create) return done(on_create(request));
      v1::FineTuningJob job;
      {
        absl::MutexLock lock(&mutex_);
        if (!request.validate_only()) job.set_name(StrCat("fineTuningJobs/j", ++created_));
      }
      job.set_display_name(request.display_name());
      *job.mutable_spec() = request.spec();
      job.set_state(v1::FineTuningJob::STATE_QUEUED);
      if (!job.name().empty()) PutJob(job);
      done(job);
    });
  }
  void CancelJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) override {
    Change(name, [](v1::FineTuningJob& job) { job.set_state(v1::FineTuningJob::STATE_CANCELLING); }, std::move(done));
  }
  void PauseJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) override {
    Change(name, [](v1::FineTuningJob& job) { job.set_state(v1::FineTuningJob::STATE_PAUSING); }, std::move(done));
  }
  void ResumeJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) override {
    Change(name, [](v1::FineTuningJob& job) { job.set_state(v1::FineTuningJob::STATE_QUEUED); }, std::move(done));
  }
  void UpdateJob(v1::UpdateFineTuningJobRequest request, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) override {
    Change(request.fine_tuning_job().name(), [priority = request.fine_tuning_job().priority()](v1::FineTuningJob& job) { job.set_priority(priority); }, std::move(done));
  }
  void DeleteJob(const std::string& name, std::function<void(absl::Status)> done) override {
    Post([this, name, done = std::move(done)] {
      absl::Status status = GetJob(name).status();
      {
        absl::MutexLock lock(&mutex_);
        jobs_.erase(name);
      }
      done(status);
    });
  }

  absl::StatusOr<v1::FineTuningJob> GetJob(const std::string& name) override {
    absl::MutexLock lock(&mutex_);
    auto found = jobs_.find(name);
    if (found == jobs_.end()) return absl::NotFoundError(StrCat("there is no ", name));
    return found->second;
  }
  int64_t WaitingVersion(const std::string& name) override {
    absl::MutexLock lock(&mutex_);
    auto found = jobs_.find(name);
    return found == jobs_.end() || found->second.state() != v1::FineTuningJob::STATE_QUEUED || waiting_.count(name) == 0 ? 0 : waiting_.at(name);
  }
  absl::StatusOr<v1::ListFineTuningJobsResponse> ListJobs(const v1::ListFineTuningJobsRequest& request, const ProjectSet& projects) override {
    absl::MutexLock lock(&mutex_);
    v1::ListFineTuningJobsResponse response;
    for (const auto& [name, job] : jobs_) {
      if (!projects.Has(job.spec().scheduling().project())) continue;
      if (response.fine_tuning_jobs_size() == request.page_size()) {
        response.set_next_page_token("more");
        break;
      }
      *response.add_fine_tuning_jobs() = job;
    }
    return response;
  }
  scheduler::ProjectUse UseOf(const std::string& project) override { return use; }
  bool IsInUse(const std::string& resource_name) override { return false; }
  scheduler::SchedulerCounts Counts() override { return counts; }

  absl::StatusOr<v1::Checkpoint> GetCheckpoint(const std::string& name) override {
    absl::MutexLock lock(&mutex_);
    auto found = checkpoints_.find(name);
    if (found == checkpoints_.end()) return absl::NotFoundError(StrCat("there is no ", name));
    return found->second.first;
  }
  absl::StatusOr<v1::ListCheckpointsResponse> ListCheckpoints(const v1::ListCheckpointsRequest& request) override {
    absl::MutexLock lock(&mutex_);
    v1::ListCheckpointsResponse response;
    for (const auto& [name, entry] : checkpoints_) *response.add_checkpoints() = entry.first;
    return response;
  }
  absl::StatusOr<std::string> CheckpointDirectory(const std::string& name) override {
    absl::MutexLock lock(&mutex_);
    auto found = checkpoints_.find(name);
    if (found == checkpoints_.end()) return absl::NotFoundError(StrCat("there is no ", name));
    return found->second.second;
  }
  void UpdateCheckpoint(v1::UpdateCheckpointRequest request, std::function<void(absl::StatusOr<v1::Checkpoint>)> done) override {
    Post([this, request = std::move(request), done = std::move(done)] {
      const std::string& name = request.checkpoint().name();
      if (absl::StatusOr<v1::Checkpoint> there = GetCheckpoint(name); !there.ok()) return done(there);
      {
        absl::MutexLock lock(&mutex_);
        checkpoints_[name].first.set_pinned(request.checkpoint().pinned());
      }
      done(GetCheckpoint(name));
    });
  }
  void DeleteCheckpoint(const std::string& name, std::function<void(absl::Status)> done) override {
    Post([this, name, done = std::move(done)] {
      absl::Status status = GetCheckpoint(name).status();
      {
        absl::MutexLock lock(&mutex_);
        checkpoints_.erase(name);
      }
      done(status);
    });
  }

  std::function<void()> Plan(v1::PlanFineTuningJobRequest request, std::function<void(absl::StatusOr<v1::PlanFineTuningJobResponse>)> done) override {
    Post([this, request = std::move(request), done = std::move(done)] {
      if (on_plan) return on_plan(request, done);
      done(absl::UnavailableError("no worker can be started"));
    });
    return [this] { ++cancelled_plans; };
  }
  void Predict(v1::PredictRequest request, std::function<void(absl::StatusOr<v1::PredictResponse>)> done) override {
    Post([this, request = std::move(request), done = std::move(done)] {
      if (on_predict) return done(on_predict(request));
      done(absl::NotFoundError(StrCat("there is no ", request.checkpoint())));
    });
  }

  std::function<void()> Evaluate(v1::EvaluateRequest request, scheduler::EvaluateCallbacks callbacks) override {
    Post([this, request = std::move(request), callbacks = std::move(callbacks)] {
      if (on_evaluate) return on_evaluate(request, callbacks);
      callbacks.done(absl::NotFoundError(StrCat("there is no ", request.checkpoint())));
    });
    return [this] { ++cancelled_evaluations; };
  }

  const v1::ListArchitecturesResponse& architectures() const override { return architecture_list; }
  const v1::ListDevicesResponse& devices() const override { return device_list; }
  const std::string& libtorch_version() const override { return libtorch_version_; }
  void HoldCheckpoints(const std::function<void()>& work) override { work(); }
  void Drain() override { ++drains; }

 private:
  void Change(const std::string& name, std::function<void(v1::FineTuningJob&)> change, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) {
    Post([this, name, change = std::move(change), done = std::move(done)] {
      absl::StatusOr<v1::FineTuningJob> job = GetJob(name);
      if (job.ok()) {
        change(*job);
        PutJob(*job);
      }
      done(std::move(job));
    });
  }
  // An empty task ends the thread.
  void Post(std::function<void()> task) {
    absl::MutexLock lock(&mutex_);
    tasks_.push_back(std::move(task));
  }
  void Work() {
    auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !tasks_.empty(); };
    for (;;) {
      std::function<void()> task;
      {
        absl::MutexLock lock(&mutex_);
        mutex_.Await(absl::Condition(&ready));
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      if (!task) return;
      task();
    }
  }

  const std::string libtorch_version_ = "2.11.0";
  absl::Mutex mutex_;
  std::map<std::string, v1::FineTuningJob> jobs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::pair<v1::Checkpoint, std::string>> checkpoints_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int64_t> waiting_ ABSL_GUARDED_BY(mutex_);  // versions
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  int created_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace attune
