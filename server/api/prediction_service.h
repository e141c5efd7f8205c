// PredictionService: a thin face of Scheduler::Predict. Owned by ApiServer. Thread-safe. Errors: those of Scheduler.
#pragma once

#include "attune/v1/prediction.grpc.pb.h"
#include "server/scheduler/scheduler.h"

namespace attune::api {

class PredictionService final : public v1::PredictionService::CallbackService {
 public:
  explicit PredictionService(scheduler::Scheduler& scheduler) : scheduler_(scheduler) {}

  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context, const v1::PredictRequest* request,
                                    v1::PredictResponse* response) override;

 private:
  scheduler::Scheduler& scheduler_;
};

}  // namespace attune::api
