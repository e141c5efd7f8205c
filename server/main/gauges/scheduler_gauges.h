// SchedulerGauges: slots, running and waiting jobs, workers, and the age of checkpoints, asked of the scheduler at each scrape. Thread-safe. The scheduler must outlive it.
#pragma once

#include <vector>

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
};

}  // namespace attune
