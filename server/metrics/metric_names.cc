#include "server/metrics/metric_names.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/match.h"
#include "prometheus/metric_family.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::metrics {
namespace {

bool IsSnakeCase(std::string_view name) {
  for (size_t i = 0; i < name.size(); ++i) {
    char c = name[i];
    bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!word && (c != '_' || i + 1 == name.size() || name[i + 1] == '_')) return false;
  }
  return true;
}

absl::Status Broken(std::string_view name, std::string_view rule) {
  return absl::InvalidArgumentError(StrCat("metric \"", name, "\" ", rule, "; see server/metrics/metric_names.h"));
}

}  // namespace

const prometheus::Histogram::BucketBoundaries& SecondsBuckets() {
  static const prometheus::Histogram::BucketBoundaries buckets = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                                                  0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                                                  1,      2.5,     5,      10,    30,     60};
  return buckets;
}

absl::Status CheckMetricName(std::string_view name, prometheus::MetricType type) {
  if (!absl::StartsWith(AbslView(name), "attune_")) return Broken(name, "does not start with attune_");
  if (!IsSnakeCase(name)) return Broken(name, "is not in lower-case snake case");
  bool total = absl::EndsWith(AbslView(name), "_total");
  if (type == prometheus::MetricType::Counter && !total) return Broken(name, "is a counter and does not end in _total");
  if (type != prometheus::MetricType::Counter && total) return Broken(name, "ends in _total and is not a counter");
  static constexpr std::array<const char*, 9> kForeignUnits = {"_ms",     "_us",      "_millis",  "_milliseconds", "_minutes",
                                                               "_percent", "_kb",     "_mb",      "_kib"};
  for (const char* unit : kForeignUnits) {
    if (absl::EndsWith(AbslView(name), unit) || absl::EndsWith(AbslView(name), StrCat(unit, "_total"))) {
      return Broken(name, "is not in a base unit (seconds, bytes, ratio)");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMetricNames(const prometheus::Collectable& registry) {
  for (const prometheus::MetricFamily& family : registry.Collect()) {
    ATTUNE_RETURN_IF_ERROR(CheckMetricName(family.name, family.type));
    if (family.help.empty()) return Broken(family.name, "has no help text");
  }
  return absl::OkStatus();
}

}  // namespace attune::metrics
