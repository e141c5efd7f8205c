#include "server/main/server.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "server/artifacts/local_artifact_store.h"
#include "server/backup/snapshot.h"
#include "server/base/clock.h"
#include "server/base/files.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/jobs/sqlite_job_store.h"
#include "server/main/command_line.h"
#include "server/main/gauges/scheduler_gauges.h"
#include "server/main/gauges/watch_gauges.h"
#include "server/main/listen_address.h"
#include "server/main/worker_environment.h"
#include "server/metrics/gauges.h"
#include "server/metrics/gpu/gpu_gauges.h"
#include "server/workers/local_process_launcher.h"
#include "server/workers/supervised_worker_pool.h"
#include "server/workers/worker_describe.h"

namespace attune {
namespace {

constexpr absl::Duration kUpkeepInterval = absl::Minutes(10);
constexpr absl::Duration kMeasuringInterval = absl::Minutes(1);
constexpr absl::Duration kReadinessInterval = absl::Seconds(1);
// What calls and idle workers may take once the jobs have been drained.
constexpr absl::Duration kCallGrace = absl::Seconds(5);
constexpr absl::Duration kWorkerGrace = absl::Seconds(5);

absl::Status Annotate(const absl::Status& status, std::string_view before, std::string_view after) {
  return absl::Status(status.code(), StrCat(before, std::string(status.message()), after));
}

absl::StatusOr<workers::WorkerDescription> Describe(const std::string& binary) {
  absl::StatusOr<workers::WorkerDescription> description = workers::DescribeWorker(binary);
  if (description.ok()) return description;
  std::string_view hint = description.status().code() == absl::StatusCode::kNotFound
                              ? "; build the worker (make build), or say where it is with --worker-binary"
                              : "";
  return Annotate(description.status(), "worker_binary: ", hint);
}

}  // namespace

std::string DefaultWorkerBinary() {
  std::error_code error;
  std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "attune-worker" : (self.parent_path() / "attune-worker").string();
}

absl::StatusOr<std::unique_ptr<Server>> Server::Create(ServerOptions options) {
  if (options.workers.binary.empty()) options.workers.binary = DefaultWorkerBinary();
  std::unique_ptr<Server> server(new Server(std::move(options)));
  ATTUNE_RETURN_IF_ERROR(server->OpenStores());
  ATTUNE_ASSIGN_OR_RETURN(workers::WorkerDescription description, Describe(server->options_.workers.binary));
  ATTUNE_RETURN_IF_ERROR(server->StartSecurity());
  ATTUNE_RETURN_IF_ERROR(server->StartWorkers());
  ATTUNE_RETURN_IF_ERROR(server->StartScheduler(std::move(description)));
  ATTUNE_RETURN_IF_ERROR(server->StartServing());
  return server;
}

absl::Status Server::OpenStores() {
  Files& files = Files::Posix();
  const Clock& clock = Clock::System();
  ATTUNE_ASSIGN_OR_RETURN(directory_, DataDirectory::Lock(options_.storage.data_dir, files));
  ATTUNE_RETURN_IF_ERROR(files.RemoveRecursively(directory_->Below(backup::kScratchName)));
  registry_ = std::make_shared<prometheus::Registry>();
  ATTUNE_ASSIGN_OR_RETURN(database_, Database::Open(directory_->Below("attune.db")));
  ATTUNE_ASSIGN_OR_RETURN(
      artifacts_, artifacts::LocalArtifactStore::Create({.root = directory_->Below("artifacts"),
                                                         .upload_lifetime = absl::Hours(options_.storage.upload_expiry_hours)},
                                                        *database_, files, clock));
  ATTUNE_ASSIGN_OR_RETURN(catalogue_,
                          catalogue::ModelCatalogue::Create(directory_->Below("models"), *database_, *artifacts_, files, clock));
  ATTUNE_ASSIGN_OR_RETURN(
      datasets_, datasets::DatasetStore::Create({.root = directory_->Below("datasets"), .max_rows = options_.storage.max_dataset_rows}, *database_, *artifacts_, files, clock,
                                                [this](const std::string& model) { return catalogue_->Tokenizer(model); }));
  ATTUNE_ASSIGN_OR_RETURN(job_store_, jobs::SqliteJobStore::Create(*database_));
  ATTUNE_ASSIGN_OR_RETURN(event_log_, jobs::JobEventLog::Create(*job_store_, clock, {.registry = registry_.get()}));
  return absl::OkStatus();
}

absl::Status Server::StartWorkers() {
  // Rules are made for directories that are there.
  for (const char* name : {"jobs", "feature-cache"}) ATTUNE_RETURN_IF_ERROR(Files::Posix().CreateDirectories(directory_->Below(name)));
  ATTUNE_ASSIGN_OR_RETURN(const workers::WorkerUser worker_user, ChooseWorkerUser(options_.workers, directory_->path()));
  ATTUNE_ASSIGN_OR_RETURN(sandbox_, DescribeSandbox(options_.workers, worker_user));
  std::string socket_path = directory_->WorkerSocketPath();
  ATTUNE_ASSIGN_OR_RETURN(
      launcher_, workers::LocalProcessLauncher::Create(
                     {.worker_path = options_.workers.binary, .server_address = StrCat("unix:", socket_path), .extra_env = WorkerEnvironment(options_.workers, worker_user, directory_->path())}));
  auto pool = std::make_unique<workers::SupervisedWorkerPool>(
      workers::SupervisedWorkerPoolOptions{.warm_workers = static_cast<int>(options_.workers.warm_workers), .registry = registry_.get(), .separate_inputs = options_.workers.sandbox != "off", .prediction_workers = static_cast<int>(options_.workers.prediction_workers)}, *launcher_,
      Clock::System());
  grpc::Service& service = pool->service();
  pool_ = std::move(pool);
  ATTUNE_ASSIGN_OR_RETURN(endpoint_, workers::WorkerEndpoint::Start(socket_path, service));
  return absl::OkStatus();
}

int Server::WorkerThreads() const {
  if (options_.workers.threads > 0) return static_cast<int>(options_.workers.threads);
  auto cores = static_cast<int64_t>(std::thread::hardware_concurrency());
  return static_cast<int>(std::max<int64_t>(1, cores / options_.workers.job_slots));
}

absl::Status Server::StartScheduler(workers::WorkerDescription description) {
  ATTUNE_ASSIGN_OR_RETURN(scheduler_,
                          scheduler::Scheduler::Create({.data_directory = directory_->path(),
                                                        .job_slots = static_cast<int>(options_.workers.job_slots),
                                                        .worker_threads = WorkerThreads(),
                                                        .share_by_memory = options_.workers.share_devices_by == "memory",
                                                        .job_memory_bytes = options_.workers.job_memory_bytes,
                                                        .feature_cache_bytes = options_.workers.feature_cache_bytes,
                                                        .most_running_jobs = [this](const std::string& project) { return security_->quotas().LimitsOf(ProjectOrDefault(project)).running_jobs; },
                                                        .drain_grace = absl::Seconds(options_.operation.drain_grace_seconds)},
                                                       {.store = *job_store_,
                                                        .events = *event_log_,
                                                        .pool = *pool_,
                                                        .models = *catalogue_,
                                                        .datasets = *datasets_,
                                                        .files = Files::Posix(),
                                                        .clock = Clock::System(),
                                                        .registry = registry_.get()},
                                                       std::move(description)));
  auto in_use = [this](const std::string& name) { return scheduler_->IsInUse(name); };
  datasets_->SetInUseCheck(in_use);
  catalogue_->SetInUseCheck(in_use);
  return absl::OkStatus();
}

absl::Status Server::StartSecurity() {
  const absl::StatusOr<ListenAddress> address = ParseListenAddress(options_.listen.address);
  const bool trusted_channel = options_.listen.allow_insecure_network || (address.ok() && address->loopback);
  ATTUNE_ASSIGN_OR_RETURN(security_, Security::Create(options_.security, trusted_channel,
                                                      {.database = *database_, .files = Files::Posix(), .clock = Clock::System(), .registry = *registry_, .data_directory = directory_->path()}));
  return absl::OkStatus();
}

absl::Status Server::StartServing() {
  server_metrics_ = std::make_unique<ServerMetrics>(*registry_, kServerVersion, scheduler_->libtorch_version());
  absl::StatusOr<std::unique_ptr<api::ApiServer>> api = api::ApiServer::Start(
      {.listen_address = options_.listen.address,
       .facts = {.version = kServerVersion, .start_time = absl::Now(), .data_dir = directory_->path(), .sandbox = sandbox_},
       .uploads = {.max_bytes = options_.storage.max_upload_bytes, .idle_timeout = absl::Seconds(options_.storage.upload_idle_seconds)}},
      {.artifacts = *artifacts_,
       .datasets = *datasets_,
       .catalogue = *catalogue_,
       .scheduler = *scheduler_,
       .event_log = *event_log_,
       .files = Files::Posix(),
       .registry = *registry_,
       .database = *database_,
       .security = security_->ForApi()});
  if (!api.ok()) return Annotate(api.status(), "listen: ", "");
  api_ = *std::move(api);
  if (!options_.operation.metrics_listen.empty()) ATTUNE_RETURN_IF_ERROR(StartMetrics());
  upkeep_ = std::make_unique<PeriodicTask>(kUpkeepInterval, [this] {
    absl::StatusOr<int64_t> removed = artifacts_->RemoveExpiredUploads();
    if (!removed.ok()) Log(LogLevel::kWarning, "expired uploads were not removed", {{"error", removed.status().ToString()}});
  });
  readiness_ = std::make_unique<Readiness>(ReadinessSources{.log = *event_log_, .files = Files::Posix(), .directory = directory_->path()}, [this](bool ready) {
    server_metrics_->ready.Set(ready ? 1 : 0);
    accepting_ = ready;
    api_->SetReady(ready);
  });
  accepting_ = true;
  checking_ = std::make_unique<PeriodicTask>(kReadinessInterval, [this] { readiness_->Check(); });
  if (!options_.listen.port_file.empty()) {
    ATTUNE_RETURN_IF_ERROR(WriteFileAtomically(Files::Posix(), options_.listen.port_file, StrCat(api_->port(), "\n")));
  }
  return absl::OkStatus();
}

// For probes that speak HTTP alone, as the kubelet does where the API has TLS: /healthz while the process answers, /readyz while it takes new calls.
std::vector<metrics::HttpPage> Server::Pages() {
  const auto health = [](bool well) { return metrics::HttpReply{.status = well ? 200 : 503, .content_type = "text/plain", .body = well ? "ok\n" : "not ready\n"}; };
  return {{"/jobs", [this](const metrics::HttpRequest& request) { return curves_->Answer(request); }},
          {"/healthz", [health](const metrics::HttpRequest&) { return health(true); }},
          {"/readyz", [this, health](const metrics::HttpRequest&) { return health(accepting_); }}};
}

absl::Status Server::StartMetrics() {
  storage_gauges_ = std::make_shared<StorageGauges>(directory_->path(), *artifacts_, Files::Posix());
  curves_ = std::make_unique<Curves>(*scheduler_, *event_log_);
  metrics::MetricsExposer::Sources sources = {registry_, std::make_shared<SchedulerGauges>(*scheduler_), std::make_shared<WatchGauges>(*event_log_), storage_gauges_,
                                              std::make_shared<auth::AuthGauges>(security_->Gauges())};
  if (auto nvml = metrics::Nvml::Load(); nvml != nullptr) sources.push_back(std::make_shared<metrics::GpuGauges>(std::move(nvml)));
  auto exposer = metrics::MetricsExposer::Start(options_.operation.metrics_listen, std::move(sources), Pages());
  if (!exposer.ok()) return Annotate(exposer.status(), "metrics_listen: ", "");
  metrics_ = *std::move(exposer);
  measuring_ = std::make_unique<PeriodicTask>(kMeasuringInterval, [this] { storage_gauges_->Measure(); });
  return absl::OkStatus();
}

Server::~Server() {
  checking_.reset();
  if (api_ != nullptr) api_->SetServing(false);
  api_.reset();
  measuring_.reset();
  metrics_.reset();  // its gauges ask the scheduler
  upkeep_.reset();
  scheduler_.reset();
  if (pool_ != nullptr) pool_->Stop(absl::ZeroDuration());
}

void Server::RequestShutdown() {
  std::call_once(shutdown_once_, [this] { shutdown_requested_.Notify(); });
}

bool Server::Wait() {
  shutdown_requested_.WaitForNotification();
  checking_.reset();
  accepting_ = false;
  server_metrics_->ready.Set(0);
  api_->SetServing(false);
  // Clients can watch their jobs go back to the queue meanwhile.
  scheduler_->Drain();
  pool_->Stop(kWorkerGrace);  // answers predictions that wait, or the calls would
  bool ended = api_->Shutdown(kCallGrace);
  absl::Status flushed = event_log_->Flush();
  if (!flushed.ok()) Log(LogLevel::kError, "the last events could not be written", {{"error", flushed.ToString()}});
  return ended;
}

}  // namespace attune
