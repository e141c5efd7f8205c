#include "server/api/prediction_service.h"

#include <utility>

#include "server/api/unary.h"
#include "server/api/validation.h"
#include "server/base/ids.h"
#include "server/base/str_cat.h"
#include "server/scheduler/predict_inputs.h"

namespace attune::api {
namespace {

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
  if (ParseResourceName(request->checkpoint(), "fineTuningJobs").ok()) {
    effective.set_checkpoint(StrCat(request->checkpoint(), "/checkpoints/best"));
  }
  if (absl::Status status = Check(effective); !status.ok()) return Answer(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  scheduler_.Predict(std::move(effective), FinishWith(reactor, response));
  return reactor;
}

}  // namespace attune::api
