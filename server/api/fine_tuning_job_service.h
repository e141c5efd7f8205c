// FineTuningJobService: a thin face of the scheduler (jobs) and the event log (what happened). Owned by ApiServer. Thread-safe.
// Errors: those of Scheduler and JobEventLog; for watches see event_stream.h.
#pragma once

#include "attune/v1/fine_tuning_job.grpc.pb.h"
#include "server/api/access/access.h"
#include "server/api/blocking_pool.h"
#include "server/api/streams/event_stream.h"
#include "server/jobs/job_event_log.h"
#include "server/scheduler/scheduler.h"

namespace attune::api {

// Watch is raw (it deals in bytes), so that events are written as they were serialised; it replaces the typed method of the class below it.
using FineTuningJobServiceBase =
    v1::FineTuningJobService::WithRawCallbackMethod_WatchFineTuningJob<v1::FineTuningJobService::CallbackService>;

class FineTuningJobService final : public FineTuningJobServiceBase {
 public:
  FineTuningJobService(Access& access, scheduler::Scheduler& scheduler, jobs::JobEventLog& log, EventStreams& streams, BlockingPool& pool)
      : access_(access), scheduler_(scheduler), log_(log), streams_(streams), pool_(pool) {}

  grpc::ServerUnaryReactor* CreateFineTuningJob(grpc::CallbackServerContext* context, const v1::CreateFineTuningJobRequest* request,
                                                v1::FineTuningJob* response) override;
  grpc::ServerUnaryReactor* PlanFineTuningJob(grpc::CallbackServerContext* context, const v1::PlanFineTuningJobRequest* request,
                                              v1::PlanFineTuningJobResponse* response) override;
  grpc::ServerUnaryReactor* GetFineTuningJob(grpc::CallbackServerContext* context, const v1::GetFineTuningJobRequest* request,
                                             v1::FineTuningJob* response) override;
  grpc::ServerUnaryReactor* ListFineTuningJobs(grpc::CallbackServerContext* context, const v1::ListFineTuningJobsRequest* request,
                                               v1::ListFineTuningJobsResponse* response) override;
  grpc::ServerUnaryReactor* CancelFineTuningJob(grpc::CallbackServerContext* context, const v1::CancelFineTuningJobRequest* request,
                                                v1::FineTuningJob* response) override;
  grpc::ServerUnaryReactor* PauseFineTuningJob(grpc::CallbackServerContext* context, const v1::PauseFineTuningJobRequest* request,
                                               v1::FineTuningJob* response) override;
  grpc::ServerUnaryReactor* ResumeFineTuningJob(grpc::CallbackServerContext* context, const v1::ResumeFineTuningJobRequest* request,
                                                v1::FineTuningJob* response) override;
  grpc::ServerUnaryReactor* UpdateFineTuningJob(grpc::CallbackServerContext* context, const v1::UpdateFineTuningJobRequest* request,
                                                v1::FineTuningJob* response) override;
  grpc::ServerUnaryReactor* DeleteFineTuningJob(grpc::CallbackServerContext* context, const v1::DeleteFineTuningJobRequest* request,
                                                v1::DeleteFineTuningJobResponse* response) override;
  EventStreams::Reactor* WatchFineTuningJob(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* ListJobEvents(grpc::CallbackServerContext* context, const v1::ListJobEventsRequest* request,
                                          v1::ListJobEventsResponse* response) override;
  grpc::ServerUnaryReactor* ListJobMetrics(grpc::CallbackServerContext* context, const v1::ListJobMetricsRequest* request,
                                           v1::ListJobMetricsResponse* response) override;

 private:
  // Checks what `request` names, and puts the project of a new job into `spec`.
  absl::Status FillSpec(const Caller& caller, const google::protobuf::Message& request, v1::FineTuningSpec& spec);
  absl::StatusOr<v1::CreateFineTuningJobRequest> EffectiveRequest(const Caller& caller, const v1::CreateFineTuningJobRequest& request);
  absl::StatusOr<auth::QuotaLease> BeginWatch(const grpc::ServerContextBase& context, const v1::WatchFineTuningJobRequest& watch);

  Access& access_;
  absl::StatusOr<v1::ListJobEventsResponse> ListEvents(const v1::ListJobEventsRequest& request);
  absl::StatusOr<v1::ListJobMetricsResponse> ListMetrics(const v1::ListJobMetricsRequest& request);

  scheduler::Scheduler& scheduler_;
  jobs::JobEventLog& log_;
  EventStreams& streams_;
  BlockingPool& pool_;
};

}  // namespace attune::api
