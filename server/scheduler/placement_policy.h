// Which waiting jobs start now, and why the others wait. Pure: the whole policy is this function. Today jobs start by age; priority and fairness between projects will
// change the order here and nowhere else.
//
//   Placement placement = Place(queued, {.job_slots = 1, .busy_slots = 0, .idle_workers = 1});
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attune::scheduler {

struct QueuedJob {
  std::string id;
  int64_t order = 0;  // of creation
};

struct ClusterState {
  int job_slots = 1;
  int busy_slots = 0;
  int idle_workers = 0;
  std::string trouble;   // why workers can't be started
  bool draining = false;
};

struct Placement {
  std::vector<std::string> start;    // in this order
  std::vector<std::string> waiting;  // in the order in which they will start: a job's index is its jobs_ahead
  std::string reason;                // what the first of them waits for; those behind it wait for it too
};

Placement Place(std::vector<QueuedJob> queued, const ClusterState& state);

}  // namespace attune::scheduler
