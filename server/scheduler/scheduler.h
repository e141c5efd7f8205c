// Scheduler: owns all job state. Public calls post to its one thread (or read a snapshot) and may be made from any thread. Callbacks run on the
// scheduler's thread, the event log's or the worker pool's, or on the caller's when the call is refused at once; they must not block. Owned by main.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto scheduler, Scheduler::Create({.data_directory = "/var/lib/attune"},
//                                                             {store, events, pool, models, datasets, files, clock}, description));
//   datasets.SetInUseCheck([&](const std::string& name) { return scheduler->IsInUse(name); });
//   ...
//   scheduler->Drain();  // then destroy it, before what it depends on
//
// Errors: INVALID_ARGUMENT with google.rpc.BadRequest (serialised in payload "google.rpc.BadRequest", see jobs/violations.h), NOT_FOUND, ALREADY_EXISTS
// (request_id reused), FAILED_PRECONDITION (says which state the job is in), UNAVAILABLE while draining. Predict, Evaluate and Plan: also those of WorkerPool.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "attune/v1/checkpoint.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/model.pb.h"
#include "attune/v1/prediction.pb.h"
#include "attune/v1/system.pb.h"
#include "prometheus/registry.h"
#include "server/base/clock.h"
#include "server/base/files.h"
#include "server/base/projects.h"
#include "server/catalogue/model_catalogue.h"
#include "server/datasets/dataset_store.h"
#include "server/jobs/job_event_log.h"
#include "server/jobs/job_store.h"
#include "server/scheduler/executors/executor.h"
#include "server/workers/worker_describe.h"
#include "server/workers/worker_pool.h"

namespace attune::scheduler {

// Waiting jobs of a project and a class of priorities.
struct QueueCount {
  std::string project;   // as metrics name it: "other" for those beyond the first
  std::string priority;  // "low", "normal" or "high"
  int queued = 0;
  absl::Duration longest_wait;
};

struct SchedulerCounts {
  int job_slots = 0;
  int running = 0;
  int queued = 0;
  int idle_workers = 0, starting_workers = 0, busy_workers = 0;
  std::vector<QueueCount> queues;
  absl::Duration oldest_checkpoint;  // of running jobs: since the last durable one, or the start of training, of the job where that is longest ago
};

// What a project has of a server.
struct ProjectUse {
  int64_t queued_jobs = 0, running_jobs = 0;
  int64_t checkpoint_bytes = 0;
};

struct SchedulerOptions {
  std::string data_directory;  // job j keeps its checkpoints in {data_directory}/jobs/{j}/checkpoints
  int job_slots = 1;           // jobs that run at once, at least 1
  int worker_threads = 0;      // CPU threads of a job that asks for none; 0: all cores
  bool share_by_memory = true;   // whether jobs run side by side on a device only while their memory adds up to what it has; slots alone decide otherwise
  int64_t job_memory_bytes = 0;  // of the CPU, that jobs may have together; 0: nine tenths of what it has
  int max_lost_attempts = 3;   // in a row, without a new checkpoint; then a job that does not say otherwise fails
  absl::Duration aging_interval = absl::Minutes(10);  // a job that waits gains a point of priority in each
  int64_t feature_cache_bytes = 0;  // that workers may keep of frozen layers' outputs, in {data_directory}/feature-cache/{project}, all projects together; 0: none
  std::function<int64_t(const std::string& project)> most_running_jobs;  // of a project at once; 0, or no function: any number
  absl::Duration drain_grace = absl::Seconds(20);  // how long Drain lets workers write a last checkpoint
};

struct EvaluateCallbacks {
  std::function<void(const v1::EvaluateProgress&)> progress;                // any number of times
  std::function<void(absl::StatusOr<v1::CheckpointEvaluation>)> done;  // once
};

// All must outlive the scheduler. It calls pool.Start.
struct SchedulerDependencies {
  jobs::JobStore& store;  // read at start; written through `events` only
  jobs::JobEventLog& events;
  workers::WorkerPool& pool;
  catalogue::ModelCatalogue& models;
  datasets::DatasetStore& datasets;
  Files& files;
  const Clock& clock;
  ExecutorFactory make_executor = nullptr;                    // of its two executors; null: threads
  std::function<std::string(char prefix)> new_id = nullptr;  // of jobs; null: NewId
  prometheus::Registry* registry = nullptr;                  // of its metrics; null: nobody looks at them
};

class Scheduler {
 public:
  // Loads all jobs and takes up again those that a stopped or killed server left behind.
  static absl::StatusOr<std::unique_ptr<Scheduler>> Create(SchedulerOptions options, SchedulerDependencies dependencies,
                                                           workers::WorkerDescription description);
  virtual ~Scheduler() = default;

  // Durable before `done` runs. Where `admission` is no OK, as of a quota, it is the answer to what would make a job; a repeat of an earlier request (request_id) and
  // validate_only are answered all the same.
  virtual void CreateJob(v1::CreateFineTuningJobRequest request, absl::Status admission, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) = 0;
  virtual void CancelJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) = 0;
  virtual void PauseJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) = 0;
  virtual void ResumeJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) = 0;
  virtual void UpdateJob(v1::UpdateFineTuningJobRequest request, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) = 0;
  virtual void DeleteJob(const std::string& name, std::function<void(absl::Status)> done) = 0;

  // Snapshots; do not block on the scheduler thread's work.
  virtual absl::StatusOr<v1::FineTuningJob> GetJob(const std::string& name) = 0;
  // 0 unless the job waits; another number whenever what GetJob says of its waiting (jobs_ahead, state_reason, blocking_resource, predicted_start_time) has changed.
  virtual int64_t WaitingVersion(const std::string& name) = 0;
  virtual absl::StatusOr<v1::ListFineTuningJobsResponse> ListJobs(const v1::ListFineTuningJobsRequest& request, const ProjectSet& projects) = 0;  // of these projects
  virtual bool IsInUse(const std::string& resource_name) = 0;  // models/{m} or datasets/{d}, by jobs that have not ended
  virtual SchedulerCounts Counts() = 0;
  virtual ProjectUse UseOf(const std::string& project) = 0;

  // "best" and "last" are understood in place of a step.
  virtual absl::StatusOr<v1::Checkpoint> GetCheckpoint(const std::string& name) = 0;
  virtual absl::StatusOr<v1::ListCheckpointsResponse> ListCheckpoints(const v1::ListCheckpointsRequest& request) = 0;
  virtual absl::StatusOr<std::string> CheckpointDirectory(const std::string& name) = 0;
  // Pins, or lets go. Durable before `done` runs.
  virtual void UpdateCheckpoint(v1::UpdateCheckpointRequest request, std::function<void(absl::StatusOr<v1::Checkpoint>)> done) = 0;
  virtual void DeleteCheckpoint(const std::string& name, std::function<void(absl::Status)> done) = 0;

  virtual void Predict(v1::PredictRequest request, std::function<void(absl::StatusOr<v1::PredictResponse>)> done) = 0;

  // Runs for minutes. Reads the dataset's row first, so the caller's thread must be one that may wait for a disk. The function that it returns ends the evaluation early
  // (`done` gets CANCELLED); it may be called from any thread, until the scheduler goes, and does nothing once the evaluation is over.
  virtual std::function<void()> Evaluate(v1::EvaluateRequest request, EvaluateCallbacks callbacks) = 0;

  // Measures what a job of this spec would take; minutes. Checks the spec as CreateJob does; nothing is kept. The function that it returns ends it early, as Evaluate's does.
  virtual std::function<void()> Plan(v1::PlanFineTuningJobRequest request, std::function<void(absl::StatusOr<v1::PlanFineTuningJobResponse>)> done) = 0;

  // What `attune-worker --describe` said at start.
  virtual const v1::ListArchitecturesResponse& architectures() const = 0;
  virtual const v1::ListDevicesResponse& devices() const = 0;
  virtual const std::string& libtorch_version() const = 0;

  // Runs `work` on the calling thread, which may have to wait, while no checkpoint or job is removed: retention waits, deletes are UNAVAILABLE. What went before is durably gone.
  virtual void HoldCheckpoints(const std::function<void()>& work) = 0;

  // Stops admitting, lets workers finish their step and write a checkpoint, within the grace period; jobs go back to QUEUED.
  virtual void Drain() = 0;
};

}  // namespace attune::scheduler
