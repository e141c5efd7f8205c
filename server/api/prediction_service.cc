#include "server/api/prediction_service.h"

#include <memory>
#include <string>
#include <utility>

#include "server/api/streams/progress_stream.h"
#include "server/api/unary.h"
#include "server/api/validation.h"
#include "server/base/ids.h"
#include "server/base/str_cat.h"
#include "server/scheduler/requests/evaluate_request.h"
#include "server/scheduler/requests/predict_inputs.h"

namespace attune::api {
namespace {

using EvaluateStream = ProgressStream<v1::EvaluateResponse>;

// A plain job means its best checkpoint.
std::string EffectiveCheckpoint(const std::string& name) {
  return ParseResourceName(name, "fineTuningJobs").ok() ? StrCat(name, "/checkpoints/best") : name;
}

absl::Status Check(const v1::EvaluateRequest& request) {
  RequestCheck check;
  check.CheckpointName("checkpoint", request.checkpoint(), /*aliases=*/true);
  check.OptionalName("dataset", request.dataset(), "datasets");
  for (const jobs::FieldViolation& violation : scheduler::CheckEvaluateRequest(request)) check.Violate(violation.field, violation.description);
  return check.status();
}

scheduler::EvaluateCallbacks CallbacksOf(std::shared_ptr<EvaluateStream> stream) {
  scheduler::EvaluateCallbacks callbacks;
  callbacks.progress = [stream](const v1::EvaluateProgress& progress) {
    v1::EvaluateResponse response;
    *response.mutable_progress() = progress;
    stream->Report(std::move(response));
  };
  callbacks.done = [stream](absl::StatusOr<v1::CheckpointEvaluation> result) {
    if (!result.ok()) {
      stream->End(result.status());
      return;
    }
    v1::EvaluateResponse response;
    *response.mutable_result() = *std::move(result);
    stream->End(std::move(response));
  };
  return callbacks;
}

absl::Status Check(const v1::PredictRequest& request) {
  RequestCheck check;
  check.CheckpointName("checkpoint", request.checkpoint(), /*aliases=*/true);
  for (const jobs::FieldViolation& violation : scheduler::CheckPredictInputs(request)) check.Violate(violation.field, violation.description);
  return check.status();
}

}  // namespace

grpc::ServerUnaryReactor* PredictionService::Predict(grpc::CallbackServerContext* context, const v1::PredictRequest* request,
                                                     v1::PredictResponse* response) {
  v1::PredictRequest effective = *request;
  effective.set_checkpoint(EffectiveCheckpoint(request->checkpoint()));
  if (absl::Status status = Check(effective); !status.ok()) return Answer(context, status);
  return AnswerAfterCheck(context, access_, effective, [&](grpc::ServerUnaryReactor* reactor) { scheduler_.Predict(std::move(effective), FinishWith(reactor, response)); });
}

grpc::ServerWriteReactor<v1::EvaluateResponse>* PredictionService::Evaluate(grpc::CallbackServerContext* context, const v1::EvaluateRequest* request) {
  v1::EvaluateRequest effective = *request;
  effective.set_checkpoint(EffectiveCheckpoint(request->checkpoint()));
  std::shared_ptr<EvaluateStream> stream = EvaluateStream::Create();
  absl::Status admitted = Check(effective);
  absl::StatusOr<Caller> caller = access_.CallerOf(*context);
  if (admitted.ok()) admitted = caller.status();
  if (admitted.ok()) {
    admitted = pool_.TryRun([this, stream, caller = *std::move(caller), effective = std::move(effective)] {
      if (absl::Status status = access_.Check(caller, effective); !status.ok()) {
        stream->End(status);
      } else {
        stream->OnLeft(scheduler_.Evaluate(effective, CallbacksOf(stream)));
      }
    });
  }
  if (!admitted.ok()) stream->End(admitted);
  return stream->reactor();
}

}  // namespace attune::api
