// CheckpointService: a thin face of the scheduler's checkpoints, and the reactor that streams their files. Owned by ApiServer. Thread-safe.
// Errors: those of Scheduler; DownloadCheckpointFile: NOT_FOUND for a path that the checkpoint does not list, OUT_OF_RANGE for an offset over its size,
// DATA_LOSS when the file is not what the checkpoint says.
#pragma once

#include "attune/v1/checkpoint.grpc.pb.h"
#include "server/api/access/access.h"
#include "server/api/blocking_pool.h"
#include "server/scheduler/scheduler.h"

namespace attune::api {

class CheckpointService final : public v1::CheckpointService::CallbackService {
 public:
  CheckpointService(Access& access, scheduler::Scheduler& scheduler, BlockingPool& pool) : access_(access), scheduler_(scheduler), pool_(pool) {}

  grpc::ServerUnaryReactor* GetCheckpoint(grpc::CallbackServerContext* context, const v1::GetCheckpointRequest* request,
                                          v1::Checkpoint* response) override;
  grpc::ServerUnaryReactor* ListCheckpoints(grpc::CallbackServerContext* context, const v1::ListCheckpointsRequest* request,
                                            v1::ListCheckpointsResponse* response) override;
  grpc::ServerWriteReactor<v1::DownloadCheckpointFileResponse>* DownloadCheckpointFile(
      grpc::CallbackServerContext* context, const v1::DownloadCheckpointFileRequest* request) override;
  grpc::ServerUnaryReactor* UpdateCheckpoint(grpc::CallbackServerContext* context, const v1::UpdateCheckpointRequest* request,
                                             v1::Checkpoint* response) override;
  grpc::ServerUnaryReactor* DeleteCheckpoint(grpc::CallbackServerContext* context, const v1::DeleteCheckpointRequest* request,
                                             v1::DeleteCheckpointResponse* response) override;

 private:
  Access& access_;
  scheduler::Scheduler& scheduler_;
  BlockingPool& pool_;
};

}  // namespace attune::api
