// Families of gauges for Collectables, whose values are asked for at each scrape. Pure.
//
//   prometheus::MetricFamily workers = GaugeFamily("attune_workers", "Worker processes, by what they do.");
//   AddGauge(workers, 2, {{"state", "idle"}});
//   return {Gauge("attune_job_slots", "Jobs that can run at once.", 4), workers};
#pragma once

#include <map>
#include <string>

#include "prometheus/client_metric.h"
#include "prometheus/metric_family.h"

namespace attune::metrics {

inline prometheus::MetricFamily GaugeFamily(const char* name, const char* help) { return {.name = name, .help = help, .type = prometheus::MetricType::Gauge}; }

inline void AddGauge(prometheus::MetricFamily& family, double value, const std::map<std::string, std::string>& labels = {}) {
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  for (const auto& [name, text] : labels) metric.label.push_back({name, text});
  metric.gauge.value = value;
}

inline prometheus::MetricFamily Gauge(const char* name, const char* help, double value) {
  prometheus::MetricFamily family = GaugeFamily(name, help);
  AddGauge(family, value);
  return family;
}

}  // namespace attune::metrics
