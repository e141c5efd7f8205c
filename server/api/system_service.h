// SystemService: what this server is and has. Owned by ApiServer. Thread-safe.
#pragma once

#include <string>
#include <utility>

#include "absl/time/time.h"
#include "attune/v1/system.grpc.pb.h"
#include "server/api/blocking_pool.h"
#include "server/base/files.h"
#include "server/scheduler/scheduler.h"

namespace attune::api {

struct SystemFacts {
  std::string version;   // of the server, semantic
  absl::Time start_time;
  std::string data_dir;  // whose free space is reported
  v1::WorkerSandbox sandbox = {};
};

class SystemService final : public v1::SystemService::CallbackService {
 public:
  SystemService(SystemFacts facts, scheduler::Scheduler& scheduler, Files& files, BlockingPool& pool)
      : facts_(std::move(facts)), scheduler_(scheduler), files_(files), pool_(pool) {}

  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context, const v1::GetServerInfoRequest* request,
                                          v1::ServerInfo* response) override;
  grpc::ServerUnaryReactor* ListDevices(grpc::CallbackServerContext* context, const v1::ListDevicesRequest* request,
                                        v1::ListDevicesResponse* response) override;

 private:
  absl::StatusOr<v1::ServerInfo> Describe();

  const SystemFacts facts_;
  scheduler::Scheduler& scheduler_;
  Files& files_;
  BlockingPool& pool_;
};

}  // namespace attune::api
