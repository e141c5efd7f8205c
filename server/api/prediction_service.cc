#include "server/api/prediction_service.h"

#include <utility>

#include "server/api/unary.h"
#include "server/api/validation.h"
#include "server/base/ids.h"
#include "server/base/str_cat.h"

namespace attune::api {
namespace {

constexpr int kMaxInputs = 256;

absl::Status Check(const v1::PredictRequest& request) {
  RequestCheck check;
  check.CheckpointName("checkpoint", request.checkpoint(), /*aliases=*/true);
  if (request.inputs().empty() || request.inputs_size() > kMaxInputs) {
    check.Violate("inputs", StrCat("has ", request.inputs_size(), " texts; give 1 to ", kMaxInputs, " in a call"));
  }
  for (int i = 0; i < request.inputs_size(); ++i) {
    check.NotEmpty(StrCat("inputs[", i, "].text"), request.inputs(i).text(), "the text to predict for");
  }
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
