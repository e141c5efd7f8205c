// docs/metrics.md is what the metrics say of themselves. When it is out of date: ATTUNE_WRITE_DOCS=1 ATTUNE_SOURCE_DIR=. build/dev/tests/server/main/attune_main_test --gtest_filter='MetricsDoc*'
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "server/api/rpc_observer.h"
#include "server/auth/auth_gauges.h"
#include "server/auth/gate/call_gate.h"
#include "server/auth/gate/open_streams.h"
#include "server/base/files.h"
#include "server/base/str_cat.h"
#include "server/jobs/event_metrics.h"
#include "server/main/gauges/scheduler_gauges.h"
#include "server/main/gauges/server_metrics.h"
#include "server/main/gauges/storage_gauges.h"
#include "server/main/gauges/watch_gauges.h"
#include "server/metrics/gpu/gpu_gauges.h"
#include "server/metrics/metric_names.h"
#include "server/scheduler/metrics/job_metrics.h"
#include "server/workers/worker_metrics.h"
#include "tests/fakes/fake_scheduler.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_artifact_store.h"
#include "tests/fakes/memory_job_store.h"

namespace attune {
namespace {

// A family has no series, and a scrape does not show it, before something has happened: so everything happens once.
void LetEverythingHappen(prometheus::Registry& registry) {
  ServerMetrics server(registry, "1", "2");
  auth::GateMetrics gate(registry);
  gate.refused.Add({{"reason", ""}});
  auth::StreamMetrics streams(registry);
  api::RpcMetrics rpc(registry);
  rpc.calls.Add({{"method", ""}, {"code", ""}});
  rpc.active.Add({{"method", ""}});
  rpc.seconds.Add({{"method", ""}}, metrics::SecondsBuckets());
  jobs::EventMetrics events(registry);
  workers::WorkerMetrics workers(registry);
  workers.Exited(workers::ExitReason::kClean);
  scheduler::JobMetrics jobs(registry);
  v1::FineTuningJob job;
  job.set_state(v1::FineTuningJob::STATE_SUCCEEDED);
  jobs.Created(job);
  jobs.Ended(job);
  jobs.Placed(job, absl::ZeroDuration());
  jobs.FirstStep(job, absl::ZeroDuration());
  jobs.Worked(job, "bert", {}, {}, 0);
  jobs.Retried("crashed");
}

struct Documented {
  std::string type, help;
  std::set<std::string> labels;
};

std::map<std::string, Documented> Families(const std::vector<const prometheus::Collectable*>& sources) {
  static const std::map<prometheus::MetricType, const char*> kTypes = {
      {prometheus::MetricType::Counter, "counter"}, {prometheus::MetricType::Gauge, "gauge"}, {prometheus::MetricType::Histogram, "histogram"}};
  std::map<std::string, Documented> families;
  for (const prometheus::Collectable* source : sources) {
    EXPECT_TRUE(metrics::CheckMetricNames(*source).ok()) << metrics::CheckMetricNames(*source);
    for (const prometheus::MetricFamily& family : source->Collect()) {
      Documented& documented = families[family.name];
      documented.type = kTypes.at(family.type);
      documented.help = family.help;
      for (const auto& metric : family.metric) {
        for (const auto& label : metric.label) documented.labels.insert(label.name);
      }
    }
  }
  return families;
}

TEST(MetricsDocTest, SaysWhatTheMetricsSay) {
  prometheus::Registry registry;
  LetEverythingHappen(registry);
  FakeScheduler scheduler;
  ManualClock clock;
  jobs::MemoryJobStore store;
  std::unique_ptr<jobs::JobEventLog> log = jobs::JobEventLog::Create(store, clock).value();
  TemporaryDirectory directory;
  MemoryArtifactStore artifacts;
  StorageGauges storage(directory.path(), artifacts, Files::Posix());
  storage.Measure();
  const SchedulerGauges scheduler_gauges(scheduler);
  const WatchGauges watch_gauges(*log);
  const metrics::GpuGauges gpu_gauges(metrics::Nvml::Load(FAKE_NVML));

  const auth::AuthGauges auth_gauges({.certificate_expiry = [] { return absl::UnixEpoch(); },
                                      .certificate_reload_failures = [] { return 0; },
                                      .jwks_age = [] { return absl::ZeroDuration(); },
                                      .active_tokens = [] { return 0; },
                                      .audit_failures = [] { return 0; }});

  std::string text =
      "# Metrics\n\n"
      "What `http://HOST:PORT/metrics` serves when the server has `--metrics-listen HOST:PORT`. This page is made by `tests/server/main/metrics_doc_test.cc` from the metrics themselves.\n\n"
      "A family has no series before something has happened that it counts. No label names a job, a dataset or a model: `project` is one of the first twenty projects or `other`,\n"
      "`architecture` that of the base model, `priority` low, normal or high. The `attune_gpu_` family is there where NVIDIA's management library is.\n\n"
      "| name | type | labels | meaning |\n|---|---|---|---|\n";
  for (const auto& [name, family] : Families({&registry, &scheduler_gauges, &watch_gauges, &storage, &gpu_gauges, &auth_gauges})) {
    text += StrCat("| ", name, " | ", family.type, " | ", absl::StrJoin(family.labels, ", "), " | ", family.help, " |\n");
  }
  text +=
      "\n## Training curves\n\n"
      "Beside it, for Grafana's panels (a job's name is no label): `/jobs`, the newest 200 jobs, and `/jobs/{job}/metrics`, a job's metrics by step, as JSON (`server/main/curves.h`).\n\n"
      "## Probes\n\n"
      "`/healthz` answers 200 while the process does, `/readyz` while the server takes new calls and 503 otherwise: for probes that speak HTTP alone.\n";

  const char* source = std::getenv("ATTUNE_SOURCE_DIR");
  if (source == nullptr) GTEST_SKIP() << "ATTUNE_SOURCE_DIR is not set; run through ctest";
  const std::string path = std::string(source) + "/docs/metrics.md";
  if (std::getenv("ATTUNE_WRITE_DOCS") != nullptr) std::ofstream(path) << text;
  EXPECT_EQ(ReadFile(path).value_or(""), text) << "run it with ATTUNE_WRITE_DOCS=1";
}

}  // namespace
}  // namespace attune
