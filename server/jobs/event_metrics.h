// EventMetrics: what an operator counts about the event log and its watchers. Owned by the log. Thread-safe.
#pragma once

#include "prometheus/counter.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "server/metrics/metric_names.h"

namespace attune::jobs {

struct EventMetrics {
  explicit EventMetrics(prometheus::Registry& registry)
      : commit_seconds(prometheus::BuildHistogram()
                           .Name("attune_store_commit_seconds")
                           .Help("Time of a transaction of the job store, in which events and changes of jobs become durable.")
                           .Register(registry)
                           .Add({}, metrics::SecondsBuckets())),
        commit_failures(prometheus::BuildCounter().Name("attune_store_commit_failures_total").Help("Transactions of the job store that failed.").Register(registry).Add({})),
        committed(prometheus::BuildCounter().Name("attune_events_total").Help("Events of jobs that became durable.").Register(registry).Add({})),
        shed(prometheus::BuildCounter()
                 .Name("attune_events_shed_total")
                 .Help("Metrics and log lines of jobs that were not stored, because the store failed.")
                 .Register(registry)
                 .Add({})),
        dropped(prometheus::BuildCounter()
                    .Name("attune_watch_dropped_events_total")
                    .Help("Metrics and log lines that a watcher did not get because it read too slowly.")
                    .Register(registry)
                    .Add({})) {}

  prometheus::Histogram& commit_seconds;
  prometheus::Counter &commit_failures, &committed, &shed, &dropped;
};

}  // namespace attune::jobs
