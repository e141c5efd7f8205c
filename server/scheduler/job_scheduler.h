// The Scheduler: one thread (the loop) that owns all job state, one for blocking file work. What Scheduler::Create returns; contract in scheduler.h.
//
// Who touches what: everything under "loop only" belongs to the loop. Readers get JobSnapshots. Durable writes go through the event log, with the event that reports
// them. File work goes to the I/O thread and posts its result back; both run in order, so an attempt's end, which takes the same way round, is handled after the
// checkpoints that came before it.
//
//   job_scheduler.cc        life of the scheduler, public calls, placement, state changes
//   create_handler.cc       creation of jobs, and the check of their specs
//   plan_handler.cc         plans: what a job would take
//   verb_handlers.cc        cancel, pause, resume, update; changes of running jobs
//   delete_handlers.cc      delete, delete checkpoint
//   placing.cc              what runs where, and who gives way
//   admission.cc            how much memory jobs take, and what devices have for them
//   attempt_handlers.cc     starting attempts, what workers report, how attempts end
//   checkpoint_handlers.cc  registration and retention of checkpoints
//   evaluate_handler.cc     evaluations of checkpoints
//   recovery.cc             what a stopped server left behind
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/jobs/job.h"
#include "server/jobs/job_state.h"
#include "server/jobs/spec/spec_check.h"
#include "server/metrics/registry_or_own.h"
#include "server/scheduler/executors/executor.h"
#include "server/scheduler/job_reports.h"
#include "server/scheduler/job_snapshots.h"
#include "server/scheduler/metrics/job_metrics.h"
#include "server/scheduler/policy/placement_policy.h"
#include "server/scheduler/policy/project_usage.h"
#include "server/scheduler/scheduler.h"

namespace attune::scheduler {

class JobScheduler final : public Scheduler, private workers::WorkerPoolListener {
 public:
  JobScheduler(SchedulerOptions options, SchedulerDependencies dependencies, workers::WorkerDescription description);
  ~JobScheduler() override;
  // Loads and recovers jobs, and starts the pool. Once, before any other call.
  absl::Status Start();

  void CreateJob(v1::CreateFineTuningJobRequest request, absl::Status admission, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) override;
  void CancelJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) override;
  void PauseJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) override;
  void ResumeJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) override;
  void UpdateJob(v1::UpdateFineTuningJobRequest request, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) override;
  void DeleteJob(const std::string& name, std::function<void(absl::Status)> done) override;
  absl::StatusOr<v1::FineTuningJob> GetJob(const std::string& name) override;
  int64_t WaitingVersion(const std::string& name) override;
  absl::StatusOr<v1::ListFineTuningJobsResponse> ListJobs(const v1::ListFineTuningJobsRequest& request, const ProjectSet& projects) override;
  bool IsInUse(const std::string& resource_name) override;
  SchedulerCounts Counts() override;
  ProjectUse UseOf(const std::string& project) override;
  absl::StatusOr<v1::Checkpoint> GetCheckpoint(const std::string& name) override;
  absl::StatusOr<v1::ListCheckpointsResponse> ListCheckpoints(const v1::ListCheckpointsRequest& request) override;
  absl::StatusOr<std::string> CheckpointDirectory(const std::string& name) override;
  void UpdateCheckpoint(v1::UpdateCheckpointRequest request, std::function<void(absl::StatusOr<v1::Checkpoint>)> done) override;
  void DeleteCheckpoint(const std::string& name, std::function<void(absl::Status)> done) override;
  void Predict(v1::PredictRequest request, std::function<void(absl::StatusOr<v1::PredictResponse>)> done) override;
  std::function<void()> Evaluate(v1::EvaluateRequest request, EvaluateCallbacks callbacks) override;
  std::function<void()> Plan(v1::PlanFineTuningJobRequest request, std::function<void(absl::StatusOr<v1::PlanFineTuningJobResponse>)> done) override;
  const v1::ListArchitecturesResponse& architectures() const override { return description_.architectures; }
  const v1::ListDevicesResponse& devices() const override { return description_.devices; }
  const std::string& libtorch_version() const override { return description_.libtorch_version; }
  void HoldCheckpoints(const std::function<void()>& work) override;
  void Drain() override;

 private:
  using JobCallback = std::function<void(absl::StatusOr<v1::FineTuningJob>)>;
  using StatusCallback = std::function<void(absl::Status)>;
  using CheckpointCallback = std::function<void(absl::StatusOr<v1::Checkpoint>)>;

  struct LiveJob {
    jobs::Job job;
    CheckpointMap checkpoints;
    std::multiset<int64_t> unstored;  // steps of checkpoints that are registered and not durable yet
    bool starting = false;      // its attempt's directories are being made ready
    bool attempt_open = false;  // a worker has it
    bool suspending = false;    // the attempt was asked to stop so that it can go on later
    bool out_of_time = false;   // the attempt was asked to stop because the job has trained for as long as it may
    std::string gives_way_to;   // the job that it was suspended for; empty: the server shuts down
    int start_priority = 0;     // of the present attempt
    std::string device;         // of the present attempt
    bool unmeasurable = false;  // nobody can say how much memory it takes
    double run_seconds_at_start = 0;  // of the present attempt
    absl::Time since = absl::InfinitePast();  // it waits, or what it has trained is counted, since then
    absl::Time training_since = absl::InfinitePast();  // in the present attempt
    bool ending = false;        // the attempt's end is on its way through the I/O thread
    bool test_reported = false;  // the attempt has reported its result on the test split
    bool deleting = false;
    std::string architecture;       // of the base model, once it has been asked for
    worker::v1::WorkDone work;      // of the present attempt, so far
    int64_t resumed_from = 0;       // step that the present attempt began at
    int64_t furthest_step = 0;      // that any attempt has reached
    jobs::State state() const { return job.resource.state(); }
    int attempt() const { return job.resource.attempt(); }
  };
  struct RequestEntry {
    std::string digest;
    std::string job_id;
  };
  // What an attempt needs from outside; found on the I/O thread.
  struct AttemptPlaces {
    absl::Status status;
    std::string model_directory, dataset_directory, replay_directory, output_directory, resume_directory, warm_start_directory;
    std::string feature_cache_directory;  // empty: none
    std::vector<std::pair<int64_t, std::string>> damaged;  // checkpoints whose files are not those that were registered: step, and what is wrong
  };
  // An evaluation whose names have become directories.
  struct Evaluation {
    worker::v1::Evaluate command;
    std::string checkpoint, dataset;  // resource names
    int64_t step = 0;
  };
  // A plan that is being made. Loop only.
  struct PlanInProgress {
    v1::FineTuningSpec effective_spec;
    std::vector<std::string> used;    // models and datasets, which may not be deleted meanwhile
    std::string id;                   // its output directory is that of a job that does not exist, so a server that was killed removes it when it starts
    int64_t disk_free_bytes = 0;
    bool memory_only = false;
    int64_t probe = 0;                // the pool's number; 0: no worker was asked yet
    bool cancelled = false;
    std::function<void(absl::StatusOr<v1::PlanFineTuningJobResponse>)> done;
  };
  // A request that has been checked.
  struct CheckedRequest {
    v1::FineTuningJob resource;  // without name, times and state
    std::vector<std::string> warnings;
  };

  // WorkerPoolListener: post to the loop.
  void OnAttemptMessage(const workers::AttemptId& attempt, worker::v1::ConnectRequest message) override;
  void OnAttemptEnded(const workers::AttemptId& attempt, workers::AttemptEnd end) override;
  void OnWorkersChanged() override;

  // The rest runs on the loop, unless it says otherwise. job_scheduler.cc:
  void PlaceJobs();
  LiveJob* Find(const std::string& id);
  // Attempts that end from now on were interrupted, not lost. `tell`: ask their workers to stop.
  void SuspendAttempts(bool tell);
  // The attempt that ends next is interrupted, not lost. `gives_way_to`: a job; empty: the server shuts down. `tell`: ask its worker to stop.
  void Suspend(LiveJob& live, const std::string& gives_way_to, bool tell);
  // How `live`'s owners may hear of the job `name`: by name where it is of their project.
  std::string NameFor(const LiveJob& live, const std::string& name) const;
  // Jobs whose time to be tried again has come wait like any other from now on.
  void AdmitRetries(absl::Time now);
  std::vector<QueuedJob> QueuedJobs() const;
  std::vector<RunningJob> RunningJobs() const;
  // Adds what the job has trained since it was last asked to its own time and to that of its project.
  void CountTime(LiveJob& live);
  void CheckRunTime(LiveJob& live);
  // Makes the change durable together with its event, and visible. False, with a log line, for a change that the table does not have.
  bool ChangeState(LiveJob& live, jobs::State to, const std::string& reason, v1::JobEvent::Level level = v1::JobEvent::LEVEL_INFO);
  // Of the call that is being handled; otherwise of the one that created the job.
  static std::string TraceOf(const LiveJob& live);
  void Append(const LiveJob& live, v1::JobEvent event, std::vector<jobs::JobChange> changes = {});
  void Publish(const LiveJob& live);
  std::string OutputDirectory(const std::string& job_id) const;
  std::string DirectoryOf(const jobs::CheckpointRecord& checkpoint) const;
  // Posts `work` to the I/O thread and its result to `then` on the loop.
  template <typename Work, typename Then>
  void DoFileWork(Work work, Then then);

  // admission.cc:
  // Usable ones, with what jobs may have of their memory together.
  static std::vector<DeviceMemory> JobDevices(const SchedulerOptions& options, const workers::WorkerDescription& description);
  std::optional<int64_t> MemoryOf(const LiveJob& live) const;
  // Sets memory_bytes where the spec or a plan of an equal job says it.
  void LearnMemory(v1::FineTuningJob& job) const;
  void RememberMemory(const v1::FineTuningSpec& effective_spec, int64_t bytes);
  // Sees to it that the first of `wanted` is being measured, or nothing.
  void MeasureFirst(const std::vector<std::string>& wanted);
  void HandleMeasured(const std::string& id, const absl::StatusOr<v1::PlanFineTuningJobResponse>& result);
  // Where the job runs, or would be planned: "cuda" is the first of them.
  std::string ConcreteDevice(const std::string& device) const;

  // create_handler.cc:
  void HandleCreate(const v1::CreateFineTuningJobRequest& request, const absl::Status& admission, JobCallback done);
  absl::StatusOr<CheckedRequest> CheckRequest(const v1::CreateFineTuningJobRequest& request);
  absl::StatusOr<v1::Model> FindModel(const std::string& name, const ProjectSet& visible);
  absl::StatusOr<jobs::WarmStartSource> FindWarmStart(const v1::WarmStart& warm_start);
  absl::StatusOr<v1::Dataset> FindDataset(const std::string& name, const std::string& field, const ProjectSet& visible);
  void AnswerRepeatedRequest(const RequestEntry& first, const std::string& digest, JobCallback done);
  void AddJob(jobs::Job job, const std::vector<std::string>& warnings);

  // plan_handler.cc:
  void HandlePlan(const v1::PlanFineTuningJobRequest& request, const std::shared_ptr<PlanInProgress>& plan);
  // `resource`: a job that does not exist, or one that does under another id.
  void PreparePlan(const std::shared_ptr<PlanInProgress>& plan, v1::FineTuningJob resource);
  void StartPlan(const std::shared_ptr<PlanInProgress>& plan, const AttemptPlaces& places);
  void CancelPlan(PlanInProgress& plan);
  void FinishPlan(const std::shared_ptr<PlanInProgress>& plan, absl::StatusOr<v1::PlanFineTuningJobResponse> result);

  // Any thread. `handle` runs on the loop, unless the name is none.
  void PostVerb(const std::string& name, void (JobScheduler::*handle)(const std::string& id, JobCallback done), JobCallback done);

  // verb_handlers.cc; delete_handlers.cc:
  void HandleCancel(const std::string& id, JobCallback done);
  void HandlePause(const std::string& id, JobCallback done);
  void HandleResume(const std::string& id, JobCallback done);
  void HandleUpdate(const v1::UpdateFineTuningJobRequest& request, JobCallback done);
  // Empty unless the job could not train like that.
  absl::Status CheckLiveSettings(const v1::FineTuningJob& job, const v1::UpdateFineTuningJobRequest& request) const;
  void HandleAdjusted(LiveJob& live, const v1::Adjustment& adjustment);
  // After the kernel has killed the worker for want of memory: the next attempt computes its batches in more parts. False when they are of one row already.
  bool DivideBatches(LiveJob& live);
  // Calls back with the job when everything that was said of it so far is durable.
  void AnswerWhenDurable(const LiveJob& live, JobCallback done);
  // Calls back, on the loop, when everything that was said so far is durable, or could not be stored.
  void WhenDurable(StatusCallback then);
  void HandleDelete(const std::string& id, StatusCallback done);
  void FinishDelete(const std::string& id, const absl::Status& removed, StatusCallback done);
  void HandleDeleteCheckpoint(const std::string& id, int64_t step, StatusCallback done);
  void FinishDeleteCheckpoint(const jobs::CheckpointRecord& record, int attempt, const absl::Status& removed, StatusCallback done);

  // attempt_handlers.cc:
  void StartAttempt(LiveJob& live);
  // On the I/O thread. `resumable`: newest first; the first whose files have their digests is what the attempt goes on from.
  AttemptPlaces FindPlaces(const jobs::Job& job, std::set<std::string> registered, const std::vector<jobs::CheckpointRecord>& resumable) const;
  // On the I/O thread. The other job's checkpoint that the attempt begins with, where it does.
  absl::Status FindStart(const jobs::Job& job, AttemptPlaces& places) const;
  void DropDamagedCheckpoints(LiveJob& live, const std::vector<std::pair<int64_t, std::string>>& damaged);
  void AssignAttempt(const std::string& id, const AttemptPlaces& places);
  // Without fence.
  worker::v1::Assign MakeAssignment(const v1::FineTuningSpec& effective_spec, const std::string& device, const AttemptPlaces& places) const;
  LiveJob* FindAttempt(const workers::AttemptId& attempt);
  void HandleMessage(const workers::AttemptId& attempt, worker::v1::ConnectRequest message);
  void HandleStarted(LiveJob& live, const worker::v1::Started& started);
  void CountWork(LiveJob& live, const worker::v1::WorkDone& done);
  void HandleEnd(const workers::AttemptId& attempt, const workers::AttemptEnd& end);
  void HandleFinished(LiveJob& live, const worker::v1::Finished& finished, const std::vector<std::string>& log_tail);
  void HandleLost(LiveJob& live, const workers::WorkerLost& lost, const std::vector<std::string>& log_tail);
  // Tried again after a while where the job's policy says so; else it has failed.
  void RetryOrFail(LiveJob& live, const Failure& failure);
  void Fail(LiveJob& live, const Failure& failure);
  // What becomes of `live` next waits for so long. Says when that is: " at 2024-05-01T12:00:10Z".
  std::string WaitForRetry(LiveJob& live, absl::Duration backoff);
  void AppendTail(const LiveJob& live, const std::vector<std::string>& log_tail);
  // Sets the progress back to the last checkpoint, and says which that is.
  std::string GoesOnFrom(LiveJob& live) const;
  // Back to QUEUED, from where it goes on at its last checkpoint.
  void Requeue(LiveJob& live, const std::string& why, v1::JobEvent::Level level);

  // checkpoint_handlers.cc:
  void HandleCheckpointWritten(LiveJob& live, const worker::v1::CheckpointWritten& written);
  void RegisterCheckpoint(const workers::AttemptId& attempt, const worker::v1::CheckpointWritten& written, const absl::StatusOr<v1::Checkpoint>& read);
  void ApplyRetention(LiveJob& live);
  void HandleUpdateCheckpoint(const std::string& id, int64_t step, bool pinned, CheckpointCallback done);
  // Of a job that has ended: what it began with is no longer kept for it.
  void ReleaseStart(const LiveJob& live);
  // The job that has not ended and begins with the checkpoint, or words for one; empty: none.
  std::string NeededBy(const std::string& checkpoint) const;
  // A checkpoint that could not be removed is there again. `attempt`: when that was tried.
  void PutBack(const jobs::CheckpointRecord& record, int attempt);
  void ChooseBest(LiveJob& live);
  const jobs::CheckpointRecord* LastResumable(const LiveJob& live) const;

  // Any thread. A plain fineTuningJobs/{j} is its best checkpoint.
  absl::StatusOr<ResolvedCheckpoint> ResolveCheckpoint(std::string name) const;
  absl::StatusOr<Evaluation> ResolveEvaluation(const v1::EvaluateRequest& request);  // evaluate_handler.cc

  // recovery.cc; before the threads have anything to do:
  absl::Status Recover();
  void RecoverJob(LiveJob& live);
  void DropBrokenCheckpoints(LiveJob& live);
  void RemoveOrphanedOutputs();

  // Constant after construction.
  const SchedulerOptions options_;
  const SchedulerDependencies deps_;
  const workers::WorkerDescription description_;
  const std::vector<DeviceMemory> devices_;

  JobSnapshots snapshots_;
  metrics::RegistryOrOwn registry_;
  JobMetrics metrics_;

  // Loop only.
  std::map<std::string, LiveJob> jobs_;  // by id
  std::map<std::string, RequestEntry> requests_;  // by request_id
  std::multiset<std::string> created_from_;       // checkpoints that jobs begin with which are not durable yet
  std::map<int64_t, std::string> queue_;  // QUEUED jobs: order to id
  std::set<std::string> active_;          // ids of jobs that hold a slot
  int64_t next_order_ = 1;
  ProjectUsage usage_;
  absl::Time predicted_at_ = absl::InfinitePast();
  absl::Time next_retry_ = absl::InfiniteFuture();  // of the jobs that wait for one
  std::map<std::string, int64_t> memory_of_;   // by MemoryKey, newest plan
  std::shared_ptr<PlanInProgress> measuring_;  // for a placement
  std::string measured_id_;                    // the job that it is for
  bool draining_ = false;
  int holds_ = 0;  // of HoldCheckpoints: nothing is removed
  bool placement_due_ = true;

  absl::Mutex mutex_;
  size_t busy_ ABSL_GUARDED_BY(mutex_) = 0;  // active_.size(), for Drain

  // Last: their threads use the rest. Callbacks that may outlive this hold the loop.
  std::shared_ptr<Executor> loop_;
  std::shared_ptr<Executor> io_;
};

template <typename Work, typename Then>
void JobScheduler::DoFileWork(Work work, Then then) {
  io_->Post([loop = loop_, work = std::move(work), then = std::move(then)]() mutable {
    auto result = work();
    loop->Post([then = std::move(then), result = std::move(result)]() mutable { then(std::move(result)); });
  });
}

}  // namespace attune::scheduler
