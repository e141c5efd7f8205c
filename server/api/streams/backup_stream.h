// The stream of a backup: a thread of its own makes the archive, a few pieces ahead of what the client has taken; one backup at a time. Thread-safe.
//
//   return StartBackup(*context, sources_, busy_);
#pragma once

#include <atomic>

#include "attune/v1/admin.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/backup/snapshot.h"

namespace attune::api {

// The reactor of one call, which gRPC owns. `busy` is true while a backup is made. All outlive the call. RESOURCE_EXHAUSTED while another is made.
grpc::ServerWriteReactor<v1::CreateBackupResponse>* StartBackup(grpc::CallbackServerContext& context, const backup::SnapshotSources& sources, std::atomic<bool>& busy);

}  // namespace attune::api
