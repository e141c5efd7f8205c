#include "server/metrics/metric_names.h"

#include <algorithm>
#include <string>

#include "gtest/gtest.h"
#include "prometheus/counter.h"
#include "prometheus/registry.h"

namespace attune::metrics {
namespace {

using prometheus::MetricType;

struct Case {
  const char* name;
  MetricType type;
  const char* broken_rule;  // null: good
};

TEST(MetricNamesTest, EachRuleIsChecked) {
  const Case cases[] = {
      {"attune_rpc_total", MetricType::Counter, nullptr},
      {"attune_rpc_seconds", MetricType::Histogram, nullptr},
      {"attune_jobs_queued", MetricType::Gauge, nullptr},
      {"attune_disk_free_bytes", MetricType::Gauge, nullptr},
      {"rpc_total", MetricType::Counter, "attune_"},
      {"attune_rpc", MetricType::Counter, "_total"},
      {"attune_jobs_total", MetricType::Gauge, "not a counter"},
      {"attune_Rpc_total", MetricType::Counter, "snake case"},
      {"attune_rpc__total", MetricType::Counter, "snake case"},
      {"attune_rpc_", MetricType::Gauge, "snake case"},
      {"attune_rpc_ms", MetricType::Histogram, "base unit"},
      {"attune_waited_milliseconds_total", MetricType::Counter, "base unit"},
      {"attune_disk_percent", MetricType::Gauge, "base unit"},
  };
  for (const Case& c : cases) {
    absl::Status status = CheckMetricName(c.name, c.type);
    if (c.broken_rule == nullptr) {
      EXPECT_TRUE(status.ok()) << status;
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.name;
      EXPECT_NE(std::string(status.message()).find(c.broken_rule), std::string::npos) << status;
    }
  }
}

TEST(MetricNamesTest, WholeRegistries) {
  prometheus::Registry registry;
  auto& good = prometheus::BuildCounter().Name("attune_x_total").Help("Things.").Register(registry);
  good.Add({});
  EXPECT_TRUE(CheckMetricNames(registry).ok());
  auto& silent = prometheus::BuildCounter().Name("attune_y_total").Register(registry);
  silent.Add({});
  EXPECT_NE(std::string(CheckMetricNames(registry).message()).find("no help"), std::string::npos);
}

TEST(MetricNamesTest, BucketsRise) {
  const auto& buckets = SecondsBuckets();
  EXPECT_TRUE(std::is_sorted(buckets.begin(), buckets.end()));
  EXPECT_EQ(std::adjacent_find(buckets.begin(), buckets.end()), buckets.end());
}

}  // namespace
}  // namespace attune::metrics
