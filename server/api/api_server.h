// ApiServer: the gRPC server of the public API: all services, health for each of them, reflection, the observer around them, and the pools they
// use. Owned by main. Thread-safe. The dependencies must outlive it.
// Errors: UNAVAILABLE when the address cannot be listened on.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto api, ApiServer::Start({.listen_address = "127.0.0.1:0"}, dependencies));
//   Log(LogLevel::kInfo, "ready", {{"address", api->address()}});
//   api->SetServing(false);
//   api->Shutdown(absl::Seconds(5));
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/server.h"
#include "grpcpp/support/channel_arguments.h"
#include "prometheus/registry.h"
#include "server/api/system_service.h"
#include "server/api/upload_service.h"
#include "server/artifacts/artifact_store.h"
#include "server/auth/audit_log.h"
#include "server/auth/gate/call_gate.h"
#include "server/auth/gate/open_streams.h"
#include "server/auth/quotas.h"
#include "server/auth/tls/server_certificate.h"
#include "server/auth/tokens/token_store.h"
#include "server/base/files.h"
#include "server/catalogue/model_catalogue.h"
#include "server/database/database.h"
#include "server/datasets/dataset_store.h"
#include "server/jobs/job_event_log.h"
#include "server/scheduler/scheduler.h"

namespace attune::api {

struct ApiOptions {
  std::string listen_address = "127.0.0.1:0";  // HOST:PORT or unix:PATH; port 0 takes a free one
  SystemFacts facts;
  UploadLimits uploads;
  int io_threads = 4;      // for calls that wait for the disk
  int import_threads = 2;  // for dataset and model imports
  absl::Duration heartbeat_interval = absl::Seconds(10);
};

// Who may call. By default anybody, without encryption.
struct ApiSecurity {
  auth::CallGate* gate = nullptr;            // before every call; null: nobody is asked
  auth::OpenStreams* streams = nullptr;      // null: they end by themselves
  auth::TokenStore* tokens = nullptr;        // for AdminService
  auth::AuditLog* audit = nullptr;           // null: none is kept
  auth::ProjectQuotas* quotas = nullptr;     // null: none
  auth::ServerCertificate* certificate = nullptr;  // null: plaintext
};

struct ApiDependencies {
  artifacts::ArtifactStore& artifacts;
  datasets::DatasetStore& datasets;
  catalogue::ModelCatalogue& catalogue;
  scheduler::Scheduler& scheduler;
  jobs::JobEventLog& event_log;
  Files& files;
  prometheus::Registry& registry;
  Database& database;  // for backups
  ApiSecurity security = {};
};

class ApiServer {
 public:
  static absl::StatusOr<std::unique_ptr<ApiServer>> Start(ApiOptions options, ApiDependencies dependencies);
  ~ApiServer();  // shuts down; waits for imports that still run

  // What clients connect to, with the port that was taken.
  const std::string& address() const { return address_; }
  int port() const { return port_; }  // 0 for a Unix socket

  // What health checks say, for the whole server and for each service. True from Start on.
  void SetServing(bool serving);
  // What they say for the whole server alone: whether it should get new calls. The services answer on. Not after SetServing(false).
  void SetReady(bool ready);

  // Ends watches with UNAVAILABLE, takes no new calls, and cuts those that have not ended within `grace`. False when imports are still running
  // after that: they run on until the destructor returns or the process ends (which the stores survive). Once only.
  bool Shutdown(absl::Duration grace);

 private:
  struct Services;
  ApiServer(ApiOptions options, ApiDependencies dependencies);
  absl::Status Listen(prometheus::Registry& registry, const ApiSecurity& security);

  const ApiOptions options_;
  std::unique_ptr<Services> services_;  // outlives server_
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  int port_ = 0;
  bool shut_down_ = false;
};

}  // namespace attune::api
