// WorkerMetrics: what an operator counts about worker processes. Owned by the pool. Thread-safe.
#pragma once

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "server/metrics/metric_names.h"
#include "server/workers/exit_reason.h"

namespace attune::workers {

struct WorkerMetrics {
  explicit WorkerMetrics(prometheus::Registry& registry)
      : exits(prometheus::BuildCounter().Name("attune_worker_exits_total").Help("Worker processes that ended, by reason.").Register(registry)),
        start_seconds(prometheus::BuildHistogram()
                          .Name("attune_worker_start_seconds")
                          .Help("Time from the launch of a worker until it is ready.")
                          .Register(registry)
                          .Add({}, metrics::SecondsBuckets())) {
    // Prometheus sees an increase only of series that were there before.
    for (const ExitReason reason : kExitReasons) exits.Add({{"reason", ExitReasonName(reason)}});
  }

  void Exited(ExitReason reason) { exits.Add({{"reason", ExitReasonName(reason)}}).Increment(); }

  prometheus::Family<prometheus::Counter>& exits;
  prometheus::Histogram& start_seconds;
};

}  // namespace attune::workers
