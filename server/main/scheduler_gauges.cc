#include "server/main/scheduler_gauges.h"

#include "prometheus/client_metric.h"

namespace attune {
namespace {

prometheus::MetricFamily Gauge(const char* name, const char* help, int value) {
  prometheus::MetricFamily family = {.name = name, .help = help, .type = prometheus::MetricType::Gauge};
  family.metric.emplace_back();
  family.metric.back().gauge.value = value;
  return family;
}

}  // namespace

std::vector<prometheus::MetricFamily> SchedulerGauges::Collect() const {
  scheduler::SchedulerCounts counts = scheduler_.Counts();
  return {Gauge("attune_job_slots", "Jobs that can run at once.", counts.job_slots),
          Gauge("attune_jobs_running", "Jobs that run.", counts.running),
          Gauge("attune_jobs_queued", "Jobs that wait.", counts.queued),
          Gauge("attune_workers_idle", "Workers that are started and idle.", counts.idle_workers)};
}

}  // namespace attune
