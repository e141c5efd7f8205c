// The stream that sends one checkpoint file from an offset: 256 KiB chunks, read on the pool, the next one when the one before is on its way. The open file
// stays readable when the checkpoint is deleted meanwhile. Thread-safe.
//
//   return StartDownload(scheduler_, pool_, *request);
#pragma once

#include "attune/v1/checkpoint.pb.h"
#include "grpcpp/support/server_callback.h"
#include "server/api/blocking_pool.h"
#include "server/scheduler/scheduler.h"

namespace attune::api {

// The reactor of one call, which gRPC owns; refusals end it with their status.
grpc::ServerWriteReactor<v1::DownloadCheckpointFileResponse>* StartDownload(scheduler::Scheduler& scheduler, BlockingPool& pool,
                                                                            v1::DownloadCheckpointFileRequest request);

}  // namespace attune::api
