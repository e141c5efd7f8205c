// The stream of a backup: a thread of its own makes the archive, a few pieces ahead of what the client has taken; one backup at a time. Owned by ApiServer. Thread-safe.
#pragma once

#include <atomic>

#include "attune/v1/admin.grpc.pb.h"
#include "grpcpp/support/server_callback.h"
#include "server/backup/snapshot.h"

namespace attune::api {

class AdminService final : public v1::AdminService::CallbackService {
 public:
  // What `sources` refers to must outlive the service, which must outlive its calls.
  explicit AdminService(backup::SnapshotSources sources) : sources_(std::move(sources)) {}

  grpc::ServerWriteReactor<v1::CreateBackupResponse>* CreateBackup(grpc::CallbackServerContext* context, const v1::CreateBackupRequest* request) override;

 private:
  const backup::SnapshotSources sources_;
  std::atomic<bool> busy_ = false;
};

}  // namespace attune::api
