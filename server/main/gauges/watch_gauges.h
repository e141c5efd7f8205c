// WatchGauges: watchers of jobs and how far behind they are, asked of the event log at each scrape. Thread-safe. The log must outlive it.
#pragma once

#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"
#include "server/jobs/job_event_log.h"
#include "server/metrics/gauges.h"

namespace attune {

class WatchGauges final : public prometheus::Collectable {
 public:
  explicit WatchGauges(const jobs::JobEventLog& log) : log_(log) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    const jobs::WatchStats stats = log_.Watchers();
    return {metrics::Gauge("attune_watchers", "Calls that watch a job.", stats.watchers),
            metrics::Gauge("attune_watch_behind_events", "Events that the slowest watcher has not taken yet.", static_cast<double>(stats.most_behind))};
  }

 private:
  const jobs::JobEventLog& log_;
};

}  // namespace attune
