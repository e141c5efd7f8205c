// Which waiting jobs start now and on which device, which running ones give way to them, and why the others wait. Pure: the whole policy is this function, as
// training_spec.proto says it at SchedulingSpec and ResourceSpec.
//
//   Placement placement = Place(queued, running, {.job_slots = 1, .idle_workers = 1, .now = clock.Now()});
//
// Jobs share a device while their memory adds up to no more than it has; a job alone on a device may start whatever it needs. On a device none overtakes another: one that does
// not fit yet holds up those behind it, or it would wait for ever.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace attune::scheduler {

// Memory of a job that could not be measured: none runs beside it.
inline constexpr int64_t kWholeDevice = std::numeric_limits<int64_t>::max();

struct QueuedJob {
  std::string id;
  int64_t order = 0;  // of creation
  int priority = 0;
  std::string project;
  absl::Time since = absl::InfinitePast();  // when it began to wait
  std::string device;                       // "cpu", "cuda:1"; "cuda" for any of them
  std::optional<int64_t> memory_bytes;      // that it takes on its device at most; none: not known yet
};

// A job that holds a slot.
struct RunningJob {
  std::string id;
  int64_t order = 0;
  int priority = 0;      // that it started with, what it had gained by waiting included
  bool leaving = false;  // it has been asked to stop, whatever for
  absl::Duration left = absl::InfiniteDuration();  // by its own estimate; infinite: not known
  std::string device;                              // the very one
  std::optional<int64_t> memory_bytes;
  std::string project;
  absl::Duration trained = absl::ZeroDuration();  // since it started; in project_seconds already
};

struct DeviceMemory {
  std::string name;
  int64_t bytes = 0;  // that jobs may have together; 0: memory is no matter there
};

struct ClusterState {
  int job_slots = 1;
  int idle_workers = 0;
  std::string trouble;   // why workers can't be started
  bool draining = false;
  absl::Time now = absl::InfinitePast();
  absl::Duration aging_interval = absl::InfiniteDuration();  // of waiting, for a point of priority
  std::map<std::string, double> project_seconds;             // that each project's jobs have had lately
  double typical_seconds = 60;                               // of a job, for projects with several waiting, or with some that have just started
  std::vector<DeviceMemory> devices;  // memory of others is no matter either
  std::function<int64_t(const std::string& project)> most_running_jobs;  // of a project at once; 0, or no function: any number
};

struct Started {
  std::string id;
  int priority = 0;  // with what it gained by waiting
  std::string device;
};

struct Preempted {
  std::string id;
  std::string by;  // the waiting job that gets the slot
};

struct Waiting {
  std::string id;
  absl::Time predicted_start = absl::InfiniteFuture();  // infinite: not known
  std::string held = {};  // why it may not start whatever comes free: its project's quota; empty: it may. Such jobs come last, and hold nobody up
};

struct Placement {
  std::vector<Started> start;        // in this order
  std::vector<Waiting> waiting;      // in the order in which they will start: a job's index is its jobs_ahead
  std::vector<Preempted> preempt;    // running jobs that should give way
  std::string reason;                // what the first of the waiting waits for; those behind it wait for it too
  std::string blocking_resource;     // the same in one word: "job_slots", "worker", "memory", "plan", "server"
  std::vector<std::string> measure;  // jobs whose memory decides whether the first that waits for it can start, and is not known; in this order
};

Placement Place(const std::vector<QueuedJob>& queued, const std::vector<RunningJob>& running, const ClusterState& state);

}  // namespace attune::scheduler
