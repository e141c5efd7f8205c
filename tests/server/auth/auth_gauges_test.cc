#include "server/auth/auth_gauges.h"

#include <gtest/gtest.h>

#include <map>

#include "prometheus/registry.h"
#include "server/auth/gate/call_gate.h"
#include "server/metrics/metric_names.h"

namespace attune::auth {
namespace {

TEST(AuthGauges, ShowWhatIsThere) {
  const AuthGauges gauges({.certificate_expiry = [] { return absl::FromUnixSeconds(4'000'000'000); },
                           .certificate_reload_failures = [] { return 2; },
                           .jwks_age = [] { return absl::Seconds(90); },
                           .active_tokens = [] { return 3; },
                           .audit_failures = [] { return 4; }});
  EXPECT_TRUE(metrics::CheckMetricNames(gauges).ok()) << metrics::CheckMetricNames(gauges);
  std::map<std::string, double> values;
  for (const auto& family : gauges.Collect()) values[family.name] = family.metric.at(0).gauge.value + family.metric.at(0).counter.value;
  const std::map<std::string, double> expected = {{"attune_certificate_expiry_timestamp_seconds", 4e9},
                                                  {"attune_certificate_reload_failures_total", 2},
                                                  {"attune_jwks_age_seconds", 90},
                                                  {"attune_auth_tokens", 3},
                                                  {"attune_audit_failures_total", 4}};
  EXPECT_EQ(values, expected);
  EXPECT_TRUE(AuthGauges({}).Collect().empty());
}

TEST(GateMetrics, AreNamedByTheRules) {
  prometheus::Registry registry;
  GateMetrics gate(registry);
  gate.refused.Add({{"reason", "TOKEN_UNKNOWN"}}).Increment();
  EXPECT_TRUE(metrics::CheckMetricNames(registry).ok()) << metrics::CheckMetricNames(registry);
}

}  // namespace
}  // namespace attune::auth
