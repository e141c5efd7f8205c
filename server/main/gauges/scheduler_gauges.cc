#include "server/main/gauges/scheduler_gauges.h"

#include <map>

#include "server/metrics/gauges.h"

namespace attune {

using metrics::AddGauge;
using metrics::Gauge;
using metrics::GaugeFamily;

std::vector<prometheus::MetricFamily> SchedulerGauges::Collect() const {
  const scheduler::SchedulerCounts counts = scheduler_.Counts();
  prometheus::MetricFamily queued = GaugeFamily("attune_jobs_queued", "Jobs that wait, by project and priority.");
  prometheus::MetricFamily longest = GaugeFamily("attune_jobs_longest_wait_seconds", "How long the job has waited that has waited longest, by project and priority.");
  std::map<std::pair<std::string, std::string>, std::pair<int, absl::Duration>> queues;  // (project, priority): how many, the longest wait
  {
    absl::MutexLock lock(&mutex_);
    for (const scheduler::QueueCount& queue : counts.queues) seen_.emplace(queue.project, queue.priority);
    for (const auto& key : seen_) queues[key] = {};
  }
  for (const scheduler::QueueCount& queue : counts.queues) queues[{queue.project, queue.priority}] = {queue.queued, queue.longest_wait};
  if (queues.empty()) queues[{"", "normal"}] = {};  // before the first job, too, sums and alerts see 0 and not nothing
  for (const auto& [key, queue] : queues) {
    AddGauge(queued, queue.first, {{"project", key.first}, {"priority", key.second}});
    AddGauge(longest, absl::ToDoubleSeconds(queue.second), {{"project", key.first}, {"priority", key.second}});
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
