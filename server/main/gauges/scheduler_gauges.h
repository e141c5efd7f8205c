// SchedulerGauges: slots, running and waiting jobs, workers, and the age of checkpoints, asked of the scheduler at each scrape. Thread-safe. The scheduler must outlive it.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"
#include "server/scheduler/scheduler.h"

namespace attune {

class SchedulerGauges final : public prometheus::Collectable {
 public:
  explicit SchedulerGauges(scheduler::Scheduler& scheduler) : scheduler_(scheduler) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  scheduler::Scheduler& scheduler_;
  // Projects and priorities of which jobs have waited: their series go on with 0, or a graph would end at its last value. Few: the scheduler limits the projects.
  mutable absl::Mutex mutex_;
  mutable std::set<std::pair<std::string, std::string>> seen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune
