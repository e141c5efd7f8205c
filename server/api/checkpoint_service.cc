#include "server/api/checkpoint_service.h"

#include "server/api/call_trace.h"
#include "server/api/streams/download_stream.h"
#include "server/api/streams/refusal.h"
#include "server/api/unary.h"
#include "server/api/validation.h"

namespace attune::api {

grpc::ServerUnaryReactor* CheckpointService::GetCheckpoint(grpc::CallbackServerContext* context,
                                                           const v1::GetCheckpointRequest* request, v1::Checkpoint* response) {
  RequestCheck check;
  check.CheckpointName("name", request->name(), /*aliases=*/true);
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request] { return scheduler_.GetCheckpoint(request->name()); });
}

grpc::ServerUnaryReactor* CheckpointService::ListCheckpoints(grpc::CallbackServerContext* context,
                                                             const v1::ListCheckpointsRequest* request,
                                                             v1::ListCheckpointsResponse* response) {
  RequestCheck check;
  check.Name("parent", request->parent(), "fineTuningJobs");
  check.PageSize(request->page_size());
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request] {
    v1::ListCheckpointsRequest effective = *request;
    effective.set_page_size(EffectivePageSize(request->page_size(), 50, 1000));
    return scheduler_.ListCheckpoints(effective);
  });
}

grpc::ServerWriteReactor<v1::DownloadCheckpointFileResponse>* CheckpointService::DownloadCheckpointFile(
    grpc::CallbackServerContext* context, const v1::DownloadCheckpointFileRequest* request) {
  if (absl::Status status = access_.Admit(*context, *request).status(); !status.ok()) return new Refusal<v1::DownloadCheckpointFileResponse>(status);
  return StartDownload(scheduler_, pool_, *request);
}

grpc::ServerUnaryReactor* CheckpointService::UpdateCheckpoint(grpc::CallbackServerContext* context,
                                                              const v1::UpdateCheckpointRequest* request,
                                                              v1::Checkpoint* response) {
  const TraceScope trace = TraceOf(*context);
  RequestCheck check;
  check.CheckpointName("checkpoint.name", request->checkpoint().name(), /*aliases=*/true);
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerAfterCheck(context, access_, *request, [&](grpc::ServerUnaryReactor* reactor) { scheduler_.UpdateCheckpoint(*request, FinishWith(reactor, response)); });
}

grpc::ServerUnaryReactor* CheckpointService::DeleteCheckpoint(grpc::CallbackServerContext* context,
                                                              const v1::DeleteCheckpointRequest* request,
                                                              v1::DeleteCheckpointResponse* response) {
  const TraceScope trace = TraceOf(*context);
  RequestCheck check;
  check.CheckpointName("name", request->name(), /*aliases=*/false);
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerAfterCheck(context, access_, *request, [&](grpc::ServerUnaryReactor* reactor) { scheduler_.DeleteCheckpoint(request->name(), FinishEmpty(reactor)); });
}

}  // namespace attune::api
