// AuthGauges: what an operator watches of certificates, keys, tokens and the audit log, asked at each scrape. Owned by the metrics exposer; what the functions ask must outlive it. Those that are not set
// show nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/time/time.h"
#include "prometheus/collectable.h"
#include "server/metrics/gauges.h"

namespace attune::auth {

struct AuthSources {
  std::function<absl::Time()> certificate_expiry;
  std::function<int64_t()> certificate_reload_failures;
  std::function<absl::Duration()> jwks_age;
  std::function<int64_t()> active_tokens;
  std::function<int64_t()> audit_failures;
};

class AuthGauges final : public prometheus::Collectable {
 public:
  explicit AuthGauges(AuthSources sources) : sources_(std::move(sources)) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> families;
    if (sources_.certificate_expiry) {
      families.push_back(metrics::Gauge("attune_certificate_expiry_timestamp_seconds", "When the server's TLS certificate expires, in seconds since 1970.",
                                        static_cast<double>(absl::ToUnixSeconds(sources_.certificate_expiry()))));
    }
    if (sources_.certificate_reload_failures) {
      families.push_back(Counter("attune_certificate_reload_failures_total", "Times that new TLS files could not be used, and those of before stayed.", sources_.certificate_reload_failures()));
    }
    if (sources_.jwks_age) {
      families.push_back(metrics::Gauge("attune_jwks_age_seconds", "Time since the token issuer's keys were fetched; infinite before the first success.", absl::ToDoubleSeconds(sources_.jwks_age())));
    }
    if (sources_.active_tokens) families.push_back(metrics::Gauge("attune_auth_tokens", "API tokens that are neither revoked nor expired.", static_cast<double>(sources_.active_tokens())));
    if (sources_.audit_failures) families.push_back(Counter("attune_audit_failures_total", "Lines of the audit log that could not be written.", sources_.audit_failures()));
    return families;
  }

 private:
  static prometheus::MetricFamily Counter(const char* name, const char* help, int64_t value) {
    prometheus::MetricFamily family = {.name = name, .help = help, .type = prometheus::MetricType::Counter};
    family.metric.emplace_back().counter.value = static_cast<double>(value);
    return family;
  }
  const AuthSources sources_;
};

}  // namespace attune::auth
