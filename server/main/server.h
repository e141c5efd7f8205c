// Server: the composition root. Create starts everything in order (directory lock, database, stores, what the workers can do, workers, scheduler, API) and Wait
// takes it down in the other. Owned by main(), or by a test that wants a whole server in its process. RequestShutdown is thread-safe; Wait is called once.
// Errors: those of the parts, with the option at fault where there is one.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto server, Server::Create(options));
//   WatchStopSignals([&] { server->RequestShutdown(); });
//   bool ended = server->Wait();
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "attune/v1/system.pb.h"
#include "prometheus/registry.h"
#include "server/api/api_server.h"
#include "server/artifacts/artifact_store.h"
#include "server/catalogue/model_catalogue.h"
#include "server/database/database.h"
#include "server/datasets/dataset_store.h"
#include "server/jobs/job_event_log.h"
#include "server/jobs/job_store.h"
#include "server/main/curves.h"
#include "server/main/data_directory.h"
#include "server/main/gauges/server_metrics.h"
#include "server/main/gauges/storage_gauges.h"
#include "server/main/options.h"
#include "server/main/periodic_task.h"
#include "server/main/readiness.h"
#include "server/main/security/security.h"
#include "server/metrics/exposer.h"
#include "server/scheduler/scheduler.h"
#include "server/workers/worker_endpoint.h"
#include "server/workers/worker_launcher.h"
#include "server/workers/worker_pool.h"

namespace attune {

class Server {
 public:
  // Ready to answer when it returns.
  static absl::StatusOr<std::unique_ptr<Server>> Create(ServerOptions options);
  ~Server();  // without Wait: ends everything at once; waits for imports

  const std::string& address() const { return api_->address(); }
  int metrics_port() const { return metrics_ == nullptr ? 0 : metrics_->port(); }

  void RequestShutdown();

  // Until RequestShutdown; then says NOT_SERVING, drains the scheduler within its grace (jobs write a checkpoint and go back to the queue), ends calls and
  // workers. False when imports are still running: the process can end all the same (they are FAILED at the next start), but the destructor
  // would wait for them.
  bool Wait();

 private:
  explicit Server(ServerOptions options) : options_(std::move(options)) {}
  absl::Status OpenStores();
  absl::Status StartWorkers();
  absl::Status StartScheduler(workers::WorkerDescription description);
  absl::Status StartSecurity();
  absl::Status StartServing();
  absl::Status StartMetrics();
  std::vector<metrics::HttpPage> Pages();
  int WorkerThreads() const;

  const ServerOptions options_;
  std::atomic<bool> accepting_ = false;  // new calls: what /readyz says
  std::once_flag shutdown_once_;
  absl::Notification shutdown_requested_;
  // In the order of their start; each may use those before it.
  std::unique_ptr<DataDirectory> directory_;
  v1::WorkerSandbox sandbox_;  // as it is reported
  std::shared_ptr<prometheus::Registry> registry_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<artifacts::ArtifactStore> artifacts_;
  std::unique_ptr<catalogue::ModelCatalogue> catalogue_;
  std::unique_ptr<datasets::DatasetStore> datasets_;
  std::unique_ptr<jobs::JobStore> job_store_;
  std::unique_ptr<jobs::JobEventLog> event_log_;
  std::unique_ptr<Security> security_;
  std::unique_ptr<workers::WorkerLauncher> launcher_;
  std::unique_ptr<workers::WorkerPool> pool_;
  std::unique_ptr<workers::WorkerEndpoint> endpoint_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::unique_ptr<ServerMetrics> server_metrics_;
  std::unique_ptr<api::ApiServer> api_;
  std::shared_ptr<StorageGauges> storage_gauges_;
  std::unique_ptr<Curves> curves_;
  std::unique_ptr<metrics::MetricsExposer> metrics_;
  std::unique_ptr<PeriodicTask> measuring_;
  std::unique_ptr<PeriodicTask> upkeep_;
  std::unique_ptr<Readiness> readiness_;
  std::unique_ptr<PeriodicTask> checking_;
};

// attune-worker in this program's directory.
std::string DefaultWorkerBinary();

}  // namespace attune
