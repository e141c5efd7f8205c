#include "server/api/api_server.h"

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "server/api/access/access.h"
#include "server/api/admin_service.h"
#include "server/api/blocking_pool.h"
#include "server/api/checkpoint_service.h"
#include "server/api/dataset_service.h"
#include "server/api/streams/event_stream.h"
#include "server/api/fine_tuning_job_service.h"
#include "server/api/grpc_status.h"
#include "server/api/model_service.h"
#include "server/api/prediction_service.h"
#include "server/api/rpc_observer.h"
#include "server/api/upload_service.h"
#include "server/auth/gate/audit_interceptor.h"
#include "server/auth/gate/gated_credentials.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/scheduler/requests/predict_inputs.h"

namespace attune::api {
namespace {

// The images of a prediction and what is around them. gRPC knows no limit for each method; all others refuse what is large field by field.
constexpr int kMaxRequestBytes = scheduler::kMaxPredictImagesBytes + (4 << 20);
// Idle clients may ping this often to keep a watch alive through proxies.
constexpr int kMinPingIntervalMs = 10'000;
constexpr int kKeepaliveMs = 30'000;
// The longest JWT (auth::kMaxJwtBytes), and as much again.
constexpr int kMaxHeaderBytes = 16 << 10;
constexpr int kMaxStreamsOfConnection = 1000;
constexpr int kMaxQueuedImports = 64;

std::string WithPort(const std::string& address, int port) {
  size_t colon = address.rfind(':');
  return StrCat(address.substr(0, colon), ":", port);
}

}  // namespace

// Everything that gRPC calls into. The pools come last (the others only keep references to them until calls come), so that they have run dry
// before anything that their tasks use goes.
struct ApiServer::Services {
  Services(const ApiOptions& options, const ApiDependencies& d)
      : access({.artifacts = d.artifacts, .datasets = d.datasets, .catalogue = d.catalogue, .scheduler = d.scheduler, .gate = d.security.gate, .quotas = d.security.quotas}),
        streams(d.event_log, d.scheduler, io, {.heartbeat_interval = options.heartbeat_interval}),
        uploads(access, d.artifacts, io, options.uploads),
        datasets(access, d.datasets, d.artifacts, io, imports),
        models(access, d.catalogue, d.scheduler, io, imports),
        jobs(access, d.scheduler, d.event_log, streams, io),
        checkpoints(access, d.scheduler, io),
        predictions(access, d.scheduler, io),
        system(options.facts, d.scheduler, d.files, io),
        admin(access,
              {.data_directory = options.facts.data_dir,
               .database = d.database,
               .files = d.files,
               .hold = [&scheduler = d.scheduler](const std::function<void()>& work) { scheduler.HoldCheckpoints(work); }},
              d.security.tokens, io),
        io({.name = "io", .threads = options.io_threads}),
        imports({.name = "import", .threads = options.import_threads, .max_queued = kMaxQueuedImports}) {
    if (d.security.quotas == nullptr) return;
    const auto check = [this](const std::string& project, int64_t added_bytes) { return access.CheckStorage(project, added_bytes); };
    d.datasets.SetStorageCheck(check);
    d.catalogue.SetStorageCheck(check);
  }

  std::array<std::pair<std::string, grpc::Service*>, 8> All() {
    return {{{v1::UploadService::service_full_name(), &uploads},
             {v1::DatasetService::service_full_name(), &datasets},
             {v1::ModelService::service_full_name(), &models},
             {v1::FineTuningJobService::service_full_name(), &jobs},
             {v1::CheckpointService::service_full_name(), &checkpoints},
             {v1::PredictionService::service_full_name(), &predictions},
             {v1::SystemService::service_full_name(), &system},
             {v1::AdminService::service_full_name(), &admin}}};
  }

  Access access;
  EventStreams streams;
  UploadService uploads;
  DatasetService datasets;
  ModelService models;
  FineTuningJobService jobs;
  CheckpointService checkpoints;
  PredictionService predictions;
  SystemService system;
  AdminService admin;
  BlockingPool io;
  BlockingPool imports;
};

ApiServer::ApiServer(ApiOptions options, ApiDependencies dependencies)
    : options_(std::move(options)), services_(std::make_unique<Services>(options_, dependencies)) {}

ApiServer::~ApiServer() {
  if (server_ != nullptr && !shut_down_) Shutdown(absl::ZeroDuration());
}

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start(ApiOptions options, ApiDependencies dependencies) {
  std::unique_ptr<ApiServer> server(new ApiServer(std::move(options), dependencies));
  ATTUNE_RETURN_IF_ERROR(server->Listen(dependencies.registry, dependencies.security));
  server->SetServing(true);
  return server;
}

absl::Status ApiServer::Listen(prometheus::Registry& registry, const ApiSecurity& security) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (security.gate != nullptr) {
    credentials = auth::MakeGatedCredentials(security.certificate == nullptr ? nullptr : security.certificate->MakeCredentials(), *security.gate);
  }
  builder.AddListeningPort(options_.listen_address, credentials, &port);
  // Two servers on one port would each get a part of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kMinPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxHeaderBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsOfConnection);
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  // Only reflection is synchronous.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<RpcObserver>(registry));
  if (security.audit != nullptr && security.gate != nullptr) interceptors.push_back(std::make_unique<auth::AuditInterceptor>(*security.audit, *security.gate));
  if (security.streams != nullptr) interceptors.push_back(security.streams->MakeInterceptorFactory());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  for (const auto& [name, service] : services_->All()) builder.RegisterService(service);
  server_ = builder.BuildAndStart();
  bool unix_socket = absl::StartsWith(options_.listen_address, "unix:");
  if (server_ == nullptr || (port == 0 && !unix_socket)) {
    return absl::UnavailableError(StrCat("cannot listen on ", options_.listen_address,
                                         ": the address is in use or not one of this machine; give another (port 0 takes a free one)"));
  }
  port_ = unix_socket ? 0 : port;
  address_ = unix_socket ? options_.listen_address : WithPort(options_.listen_address, port);
  return absl::OkStatus();
}

void ApiServer::SetReady(bool ready) { server_->GetHealthCheckService()->SetServingStatus("", ready); }

void ApiServer::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus(serving);  // the server as a whole, and all known services
  for (const auto& [name, service] : services_->All()) health->SetServingStatus(name, serving);
}

bool ApiServer::Shutdown(absl::Duration grace) {
  shut_down_ = true;
  absl::Time deadline = absl::Now() + grace;
  services_->streams.EndAll(absl::UnavailableError("the server is shutting down; the job goes on when it is back: watch again with after_sequence"));
  server_->Shutdown(absl::ToChronoTime(deadline));
  server_->Wait();
  return services_->imports.WaitIdle(std::max(deadline - absl::Now(), absl::ZeroDuration()));
}

}  // namespace attune::api
