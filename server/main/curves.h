// Curves: a job's training curves as JSON, for Grafana's panels: read-only pages beside /metrics, so that no job's name becomes a label. Thread-safe. What it is given must outlive it.
//
//   GET /jobs                  [{"job": "fineTuningJobs/j1", "display_name": ..., "state": "RUNNING", "project": ..., "model": ..., "create_time": "2024-05-01T12:00:00Z"}, ...]
//                              the newest 200
//   GET /jobs/j1/metrics       [{"time": 1714564800123, "attempt": 1, "step": 1, "epoch": 0.1, "phase": "head", "loss": 0.7, "learning_rate": 1e-3, ...}, ...]
//                              time in milliseconds since 1970; at most 2,000 points of training and 2,000 of evaluations, evenly thinned
//   404 with {"error": ...} for a job that is not there, and for other paths; 503 while two histories are being read
#pragma once

#include <atomic>

#include "server/jobs/job_event_log.h"
#include "server/metrics/exposer.h"
#include "server/scheduler/scheduler.h"

namespace attune {

class Curves {
 public:
  Curves(scheduler::Scheduler& scheduler, jobs::JobEventLog& log) : scheduler_(scheduler), log_(log) {}
  metrics::HttpReply Answer(const metrics::HttpRequest& request) const;

 private:
  metrics::HttpReply Jobs() const;
  metrics::HttpReply Metrics(const std::string& id) const;
  metrics::HttpReply Read(const std::string& id) const;

  scheduler::Scheduler& scheduler_;
  jobs::JobEventLog& log_;
  mutable std::atomic<int> readers_ = 0;
};

}  // namespace attune
