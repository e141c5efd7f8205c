// PredictionService: a thin face of Scheduler::Predict and Evaluate. Owned by ApiServer. Thread-safe. Errors: those of Scheduler.
#pragma once

#include "attune/v1/prediction.grpc.pb.h"
#include "server/api/access/access.h"
#include "server/api/blocking_pool.h"
#include "server/scheduler/scheduler.h"

namespace attune::api {

class PredictionService final : public v1::PredictionService::CallbackService {
 public:
  PredictionService(Access& access, scheduler::Scheduler& scheduler, BlockingPool& pool) : access_(access), scheduler_(scheduler), pool_(pool) {}

  grpc::ServerUnaryReactor* Predict(grpc::CallbackServerContext* context, const v1::PredictRequest* request,
                                    v1::PredictResponse* response) override;
  // An evaluation whose caller leaves is cancelled.
  grpc::ServerWriteReactor<v1::EvaluateResponse>* Evaluate(grpc::CallbackServerContext* context, const v1::EvaluateRequest* request) override;

 private:
  Access& access_;
  scheduler::Scheduler& scheduler_;
  BlockingPool& pool_;
};

}  // namespace attune::api
