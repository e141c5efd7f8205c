// Scheduler: owns all job state. Public calls post to its one thread (or read a snapshot) and may be made from any thread. Callbacks run on the
// scheduler thread and must not block. Owned by main.
//
// Errors: INVALID_ARGUMENT with google.rpc.BadRequest (serialised in payload "google.rpc.BadRequest", see jobs/violations.h), NOT_FOUND, ALREADY_EXISTS
// (request_id reused), FAILED_PRECONDITION (says which state the job is in), UNAVAILABLE while draining.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/checkpoint.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/model.pb.h"
#include "attune/v1/prediction.pb.h"
#include "attune/v1/system.pb.h"

namespace attune::scheduler {

struct SchedulerCounts {
  int job_slots = 0;
  int running = 0;
  int queued = 0;
  int idle_workers = 0;
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;

  // Durable before `done` runs.
  virtual void CreateJob(v1::CreateFineTuningJobRequest request,
                         std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) = 0;
  virtual void CancelJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) = 0;
  virtual void DeleteJob(const std::string& name, std::function<void(absl::Status)> done) = 0;

  // Snapshots; do not block on the scheduler thread's work.
  virtual absl::StatusOr<v1::FineTuningJob> GetJob(const std::string& name) = 0;
  virtual absl::StatusOr<v1::ListFineTuningJobsResponse> ListJobs(const v1::ListFineTuningJobsRequest& request) = 0;
  virtual bool IsInUse(const std::string& resource_name) = 0;  // models/{m} or datasets/{d}, by jobs that have not ended
  virtual SchedulerCounts Counts() = 0;

  // "best" and "last" are understood in place of a step.
  virtual absl::StatusOr<v1::Checkpoint> GetCheckpoint(const std::string& name) = 0;
  virtual absl::StatusOr<v1::ListCheckpointsResponse> ListCheckpoints(const v1::ListCheckpointsRequest& request) = 0;
  virtual absl::StatusOr<std::string> CheckpointDirectory(const std::string& name) = 0;
  virtual void DeleteCheckpoint(const std::string& name, std::function<void(absl::Status)> done) = 0;

  virtual void Predict(v1::PredictRequest request, std::function<void(absl::StatusOr<v1::PredictResponse>)> done) = 0;

  // What `attune-worker --describe` said at start.
  virtual const v1::ListArchitecturesResponse& architectures() const = 0;
  virtual const v1::ListDevicesResponse& devices() const = 0;
  virtual const std::string& libtorch_version() const = 0;

  // Stops admitting, lets workers finish their step and write a checkpoint, within the grace period; jobs go back to QUEUED.
  virtual void Drain() = 0;
};

}  // namespace attune::scheduler
