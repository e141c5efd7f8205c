// Naming rules of metrics, and the buckets that durations share. Pure; thread-safe.
//
// A name is attune_{component}_{what}_{unit}: lower-case snake case; base units only (seconds, bytes, ratio), spelt out, last; counters end in _total,
// and nothing else does. A gauge that counts things needs no unit: attune_jobs_queued. Labels have few values, never ids.
//
//   ATTUNE_RETURN_IF_ERROR(CheckMetricName("attune_rpc_seconds", prometheus::MetricType::Histogram));
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "prometheus/collectable.h"
#include "prometheus/histogram.h"
#include "prometheus/metric_type.h"

namespace attune::metrics {

// 100 us to 60 s, for calls and for anything that a person waits for.
const prometheus::Histogram::BucketBoundaries& SecondsBuckets();

// INVALID_ARGUMENT that says which rule the name breaks.
absl::Status CheckMetricName(std::string_view name, prometheus::MetricType type);

// The same for every metric of a registry; the first fault.
absl::Status CheckMetricNames(const prometheus::Collectable& registry);

}  // namespace attune::metrics
