#include "server/api/system_service.h"

#include "server/api/timestamps.h"
#include "server/api/unary.h"
#include "server/base/status_macros.h"

namespace attune::api {

absl::StatusOr<v1::ServerInfo> SystemService::Describe() {
  v1::ServerInfo info;
  info.set_version(facts_.version);
  *info.mutable_start_time() = ToTimestamp(facts_.start_time);
  info.set_libtorch_version(scheduler_.libtorch_version());
  for (const v1::Architecture& architecture : scheduler_.architectures().architectures()) {
    info.add_architectures(architecture.name());
  }
  scheduler::SchedulerCounts counts = scheduler_.Counts();
  info.set_job_slots(counts.job_slots);
  info.set_running_jobs(counts.running);
  info.set_queued_jobs(counts.queued);
  info.set_idle_workers(counts.idle_workers);
  ATTUNE_ASSIGN_OR_RETURN(int64_t free_bytes, files_.FreeBytes(facts_.data_dir));
  info.set_free_disk_bytes(free_bytes);
  *info.mutable_worker_sandbox() = facts_.sandbox;
  return info;
}

grpc::ServerUnaryReactor* SystemService::GetServerInfo(grpc::CallbackServerContext* context, const v1::GetServerInfoRequest* request,
                                                       v1::ServerInfo* response) {
  return AnswerFromPool(context, pool_, response, [this] { return Describe(); });
}

grpc::ServerUnaryReactor* SystemService::ListDevices(grpc::CallbackServerContext* context, const v1::ListDevicesRequest* request,
                                                     v1::ListDevicesResponse* response) {
  *response = scheduler_.devices();
  return Answer(context, absl::OkStatus());
}

}  // namespace attune::api
