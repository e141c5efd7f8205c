// The stubs of all services; for client.cc and streams.cc only.
#pragma once

#include <memory>

#include "attune/v1/admin.grpc.pb.h"
#include "attune/v1/checkpoint.grpc.pb.h"
#include "attune/v1/dataset.grpc.pb.h"
#include "attune/v1/fine_tuning_job.grpc.pb.h"
#include "attune/v1/model.grpc.pb.h"
#include "attune/v1/prediction.grpc.pb.h"
#include "attune/v1/system.grpc.pb.h"
#include "attune/v1/upload.grpc.pb.h"
#include "client/cpp/client.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace attune::client {

struct Client::Stubs {
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : uploads(channel),
        datasets(channel),
        models(channel),
        jobs(channel),
        checkpoints(channel),
        prediction(channel),
        system(channel),
        admin(channel),
        health(channel) {}
  v1::UploadService::Stub uploads;
  v1::DatasetService::Stub datasets;
  v1::ModelService::Stub models;
  v1::FineTuningJobService::Stub jobs;
  v1::CheckpointService::Stub checkpoints;
  v1::PredictionService::Stub prediction;
  v1::SystemService::Stub system;
  v1::AdminService::Stub admin;
  grpc::health::v1::Health::Stub health;
};

}  // namespace attune::client
