// ModelService: a thin face of ModelCatalogue, and the architectures that the workers reported. Owned by ApiServer. Thread-safe.
// Errors: those of ModelCatalogue.
#pragma once

#include "attune/v1/model.grpc.pb.h"
#include "server/api/access/access.h"
#include "server/api/blocking_pool.h"
#include "server/catalogue/model_catalogue.h"
#include "server/scheduler/scheduler.h"

namespace attune::api {

class ModelService final : public v1::ModelService::CallbackService {
 public:
  // `pool` runs reads; `imports` what takes minutes.
  ModelService(Access& access, catalogue::ModelCatalogue& catalogue, scheduler::Scheduler& scheduler, BlockingPool& pool, BlockingPool& imports)
      : access_(access), catalogue_(catalogue), scheduler_(scheduler), pool_(pool), imports_(imports) {}

  grpc::ServerUnaryReactor* ImportModel(grpc::CallbackServerContext* context, const v1::ImportModelRequest* request,
                                        v1::Model* response) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context, const v1::GetModelRequest* request,
                                     v1::Model* response) override;
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context, const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* response) override;
  grpc::ServerUnaryReactor* DeleteModel(grpc::CallbackServerContext* context, const v1::DeleteModelRequest* request,
                                        v1::DeleteModelResponse* response) override;
  grpc::ServerUnaryReactor* DescribeLayers(grpc::CallbackServerContext* context, const v1::DescribeLayersRequest* request,
                                           v1::DescribeLayersResponse* response) override;
  grpc::ServerUnaryReactor* ListArchitectures(grpc::CallbackServerContext* context, const v1::ListArchitecturesRequest* request,
                                              v1::ListArchitecturesResponse* response) override;

 private:
  Access& access_;
  catalogue::ModelCatalogue& catalogue_;
  scheduler::Scheduler& scheduler_;
  BlockingPool& pool_;
  BlockingPool& imports_;
};

}  // namespace attune::api
