#include "server/main/gauges/scheduler_gauges.h"

#include "server/metrics/gauges.h"

namespace attune {

using metrics::AddGauge;
using metrics::Gauge;
using metrics::GaugeFamily;

std::vector<prometheus::MetricFamily> SchedulerGauges::Collect() const {
  const scheduler::SchedulerCounts counts = scheduler_.Counts();
  prometheus::MetricFamily queued = GaugeFamily("attune_jobs_queued", "Jobs that wait, by project and priority.");
  prometheus::MetricFamily longest = GaugeFamily("attune_jobs_longest_wait_seconds", "How long the job has waited that has waited longest, by project and priority.");
  for (const scheduler::QueueCount& queue : counts.queues) {
    AddGauge(queued, queue.queued, {{"project", queue.project}, {"priority", queue.priority}});
    AddGauge(longest, absl::ToDoubleSeconds(queue.longest_wait), {{"project", queue.project}, {"priority", queue.priority}});
  }
  // A series that is there while nothing waits: sums and alerts then see 0 and not nothing.
  if (counts.queues.empty()) {
    AddGauge(queued, 0, {{"project", ""}, {"priority", "normal"}});
    AddGauge(longest, 0, {{"project", ""}, {"priority", "normal"}});
  }
  prometheus::MetricFamily workers = GaugeFamily("attune_workers", "Worker processes, by state: starting, idle or busy.");
  AddGauge(workers, counts.starting_workers, {{"state", "starting"}});
  AddGauge(workers, counts.idle_workers, {{"state", "idle"}});
  AddGauge(workers, counts.busy_workers, {{"state", "busy"}});
  return {Gauge("attune_job_slots", "Jobs that can run at once.", counts.job_slots),
          Gauge("attune_jobs_running", "Jobs that hold a slot.", counts.running),
          std::move(queued),
          std::move(longest),
          std::move(workers),
          Gauge("attune_checkpoint_oldest_seconds",
                "Of running jobs, the longest time since the last durable checkpoint, or since training began: the work that a crash would cost.",
                absl::ToDoubleSeconds(counts.oldest_checkpoint))};
}

}  // namespace attune
