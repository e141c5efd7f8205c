// JobSnapshots: what readers see of jobs and checkpoints. Written by the scheduler thread alone, read by any thread; nobody waits for more than a copy of a pointer. Values
// are immutable once published. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "attune/v1/checkpoint.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "server/jobs/job.h"
#include "server/scheduler/policy/placement_policy.h"
#include "server/scheduler/scheduler.h"

namespace attune::scheduler {

using CheckpointMap = std::map<int64_t, jobs::CheckpointRecord>;  // by step

// A checkpoint that a name was resolved to.
struct ResolvedCheckpoint {
  jobs::CheckpointRecord record;
  bool is_best = false;
};

class JobSnapshots {
 public:
  // For the scheduler thread.
  // `since`: when it came into its state.
  void PutJob(const jobs::Job& job, absl::Time since);
  void PutCheckpoints(const std::string& job_id, const CheckpointMap& checkpoints);  // all of them
  void Remove(const std::string& job_id);
  // Waiting jobs in the order in which they will start, and what the first waits for.
  void SetWaiting(const std::vector<Waiting>& waiting, const std::string& reason, const std::string& blocking_resource);
  void SetJobsAhead(const std::string& id, int jobs_ahead);
  // Resources of a job that is being created count as used.
  void Hold(const std::vector<std::string>& resources);
  void Release(const std::vector<std::string>& resources);

  // For anyone. Names are "fineTuningJobs/{id}" and "fineTuningJobs/{id}/checkpoints/{step|best|last}". INVALID_ARGUMENT for other forms, NOT_FOUND.
  absl::StatusOr<v1::FineTuningJob> Get(const std::string& name) const;
  absl::StatusOr<v1::ListFineTuningJobsResponse> List(const v1::ListFineTuningJobsRequest& request, const ProjectSet& projects) const;
  absl::StatusOr<ResolvedCheckpoint> GetCheckpoint(const std::string& name) const;
  absl::StatusOr<v1::ListCheckpointsResponse> ListCheckpoints(const v1::ListCheckpointsRequest& request) const;
  bool IsInUse(const std::string& resource_name) const;
  // 0 unless the job waits; another number whenever what Get says of its waiting has changed.
  int64_t WaitingVersion(const std::string& name) const;
  // What is known of jobs: running ones, waiting ones, and the age of checkpoints. `project_label` names projects.
  SchedulerCounts Count(absl::Time now, const std::function<std::string(const std::string&)>& project_label) const;

  ProjectUse UseOf(const std::string& project) const;

 private:
  struct Entry {
    int64_t order = 0;
    absl::Time since = absl::InfinitePast();  // in its state
    std::shared_ptr<const v1::FineTuningJob> job;
    std::shared_ptr<const CheckpointMap> checkpoints;
    int jobs_ahead = 0;
    absl::Time predicted_start = absl::InfiniteFuture();  // infinite: not known
    std::string held;                                     // why its project's quota keeps it waiting; empty: it does not
    int64_t version = 0;                                  // of all this
  };
  // What the first of the waiting jobs waits for.
  struct Front {
    std::string reason, blocking_resource;
  };
  // A copy with what only reading can tell: jobs_ahead, and what a waiting job waits for.
  static v1::FineTuningJob Filled(const Entry& entry, const Front& front);

  mutable absl::Mutex mutex_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);          // by id
  std::map<int64_t, std::string> by_order_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> unfinished_ ABSL_GUARDED_BY(mutex_);              // ids
  std::multiset<std::string> held_ ABSL_GUARDED_BY(mutex_);               // resource names
  Front front_ ABSL_GUARDED_BY(mutex_);
  int64_t versions_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Names of the model and the datasets that a job needs until it has ended.
std::vector<std::string> ResourcesOf(const v1::FineTuningSpec& spec);

v1::Checkpoint ToResource(const ResolvedCheckpoint& checkpoint);

}  // namespace attune::scheduler
