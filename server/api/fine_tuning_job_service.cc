#include "server/api/fine_tuning_job_service.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "server/api/call_trace.h"
#include "server/api/unary.h"
#include "server/api/validation.h"
#include "server/base/ids.h"
#include "server/base/page_token.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/base/utf8.h"

namespace attune::api {
namespace {

constexpr std::string_view kCollection = "fineTuningJobs";
constexpr int kMaxLabels = 64;

// The spec's values are the scheduler's to judge; here only what needs no model and no dataset.
void CheckSpec(bool has_spec, const v1::FineTuningSpec& spec, RequestCheck& check) {
  if (!has_spec) return check.Violate("spec", "is required: at least base_model and dataset");
  check.Name("spec.base_model", spec.base_model(), "models");
  check.Name("spec.dataset", spec.dataset(), "datasets");
  if (!spec.replay().dataset().empty()) check.Name("spec.replay.dataset", spec.replay().dataset(), "datasets");
  // A plain job means its best checkpoint.
  const std::string& start = spec.warm_start().checkpoint();
  if (!start.empty() && !ParseResourceName(start, kCollection).ok()) check.CheckpointName("spec.warm_start.checkpoint", start, /*aliases=*/true);
}

absl::Status CheckCreate(const v1::CreateFineTuningJobRequest& request) {
  RequestCheck check;
  check.Text("display_name", request.display_name(), 255);
  if (request.labels_size() > kMaxLabels) {
    check.Violate("labels", StrCat("has ", request.labels_size(), " entries; at most ", kMaxLabels, " are allowed"));
  }
  for (const auto& [key, value] : request.labels()) {
    std::string field = StrCat("labels[", Utf8Prefix(key, 63), "]");
    if (key.empty() || key.size() > 63) check.Violate(field, "the key must have 1 to 63 characters");
    check.Text(field, value, 255);
  }
  check.RequestId(request.request_id());
  CheckSpec(request.has_spec(), request.spec(), check);
  return check.status();
}

absl::Status CheckJobName(std::string_view field, const std::string& name) {
  RequestCheck check;
  check.Name(field, name, kCollection);
  return check.status();
}

// Where a page begins: behind this sequence.
absl::StatusOr<int64_t> ReadCursor(std::string_view scope, const std::string& token) {
  ATTUNE_ASSIGN_OR_RETURN(std::string cursor, ReadPageToken(scope, token));
  int64_t sequence = 0;
  if (!cursor.empty() && !absl::SimpleAtoi(cursor, &sequence)) {
    return absl::InvalidArgumentError("page_token: was not made for this list; start again without it");
  }
  return sequence;
}

}  // namespace

grpc::ServerUnaryReactor* FineTuningJobService::CreateFineTuningJob(grpc::CallbackServerContext* context,
                                                                    const v1::CreateFineTuningJobRequest* request,
                                                                    v1::FineTuningJob* response) {
  const TraceScope trace = TraceOf(*context);
  if (absl::Status status = CheckCreate(*request); !status.ok()) return Answer(context, status);
  absl::StatusOr<Caller> caller = access_.CallerOf(*context);
  if (!caller.ok()) return Answer(context, caller.status());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::Status admitted = pool_.TryRun([this, caller = *std::move(caller), request, reactor, response] {
    absl::StatusOr<v1::CreateFineTuningJobRequest> effective = EffectiveRequest(caller, *request);
    if (!effective.ok()) return reactor->Finish(ToGrpcStatus(effective.status()));
    const absl::Status admission = request->validate_only() ? absl::OkStatus() : access_.CheckNewJob(ProjectOrDefault(effective->spec().scheduling().project()));
    scheduler_.CreateJob(*std::move(effective), admission, FinishWith(reactor, response));
  });
  if (!admitted.ok()) reactor->Finish(ToGrpcStatus(admitted));
  return reactor;
}

grpc::ServerUnaryReactor* FineTuningJobService::PlanFineTuningJob(grpc::CallbackServerContext* context,
                                                                  const v1::PlanFineTuningJobRequest* request,
                                                                  v1::PlanFineTuningJobResponse* response) {
  const TraceScope trace = TraceOf(*context);
  RequestCheck check;
  CheckSpec(request->has_spec(), request->spec(), check);
  if (!check.status().ok()) return Answer(context, check.status());
  absl::StatusOr<Caller> caller = access_.CallerOf(*context);
  if (!caller.ok()) return Answer(context, caller.status());
  return CancellableCall<v1::PlanFineTuningJobResponse>::Start(pool_, response, [this, caller = *std::move(caller), request = *request](auto done) -> std::function<void()> {
    v1::PlanFineTuningJobRequest effective = request;
    if (absl::Status status = FillSpec(caller, request, *effective.mutable_spec()); !status.ok()) {
      done(status);
      return nullptr;
    }
    return scheduler_.Plan(std::move(effective), std::move(done));
  });
}

grpc::ServerUnaryReactor* FineTuningJobService::GetFineTuningJob(grpc::CallbackServerContext* context,
                                                                 const v1::GetFineTuningJobRequest* request,
                                                                 v1::FineTuningJob* response) {
  if (absl::Status status = CheckJobName("name", request->name()); !status.ok()) return Answer(context, status);
  if (absl::Status status = access_.Admit(*context, *request).status(); !status.ok()) return Answer(context, status);
  return Answer(context, response, scheduler_.GetJob(request->name()));
}

grpc::ServerUnaryReactor* FineTuningJobService::ListFineTuningJobs(grpc::CallbackServerContext* context,
                                                                   const v1::ListFineTuningJobsRequest* request,
                                                                   v1::ListFineTuningJobsResponse* response) {
  RequestCheck check;
  check.PageSize(request->page_size());
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request](const Caller& caller) {
    v1::ListFineTuningJobsRequest effective = *request;
    effective.set_page_size(EffectivePageSize(request->page_size(), 50, 1000));
    return scheduler_.ListJobs(effective, caller.Own());
  });
}

grpc::ServerUnaryReactor* FineTuningJobService::CancelFineTuningJob(grpc::CallbackServerContext* context,
                                                                    const v1::CancelFineTuningJobRequest* request,
                                                                    v1::FineTuningJob* response) {
  const TraceScope trace = TraceOf(*context);
  if (absl::Status status = CheckJobName("name", request->name()); !status.ok()) return Answer(context, status);
  return AnswerAfterCheck(context, access_, *request, [&](grpc::ServerUnaryReactor* reactor) { scheduler_.CancelJob(request->name(), FinishWith(reactor, response)); });
}

grpc::ServerUnaryReactor* FineTuningJobService::PauseFineTuningJob(grpc::CallbackServerContext* context,
                                                                   const v1::PauseFineTuningJobRequest* request,
                                                                   v1::FineTuningJob* response) {
  const TraceScope trace = TraceOf(*context);
  if (absl::Status status = CheckJobName("name", request->name()); !status.ok()) return Answer(context, status);
  return AnswerAfterCheck(context, access_, *request, [&](grpc::ServerUnaryReactor* reactor) { scheduler_.PauseJob(request->name(), FinishWith(reactor, response)); });
}

grpc::ServerUnaryReactor* FineTuningJobService::ResumeFineTuningJob(grpc::CallbackServerContext* context,
                                                                    const v1::ResumeFineTuningJobRequest* request,
                                                                    v1::FineTuningJob* response) {
  const TraceScope trace = TraceOf(*context);
  if (absl::Status status = CheckJobName("name", request->name()); !status.ok()) return Answer(context, status);
  return AnswerAfterCheck(context, access_, *request, [&](grpc::ServerUnaryReactor* reactor) { scheduler_.ResumeJob(request->name(), FinishWith(reactor, response)); });
}

grpc::ServerUnaryReactor* FineTuningJobService::UpdateFineTuningJob(grpc::CallbackServerContext* context,
                                                                    const v1::UpdateFineTuningJobRequest* request,
                                                                    v1::FineTuningJob* response) {
  const TraceScope trace = TraceOf(*context);
  if (absl::Status status = CheckJobName("fine_tuning_job.name", request->fine_tuning_job().name()); !status.ok()) return Answer(context, status);
  return AnswerAfterCheck(context, access_, *request, [&](grpc::ServerUnaryReactor* reactor) { scheduler_.UpdateJob(*request, FinishWith(reactor, response)); });
}

grpc::ServerUnaryReactor* FineTuningJobService::DeleteFineTuningJob(grpc::CallbackServerContext* context,
                                                                    const v1::DeleteFineTuningJobRequest* request,
                                                                    v1::DeleteFineTuningJobResponse* response) {
  const TraceScope trace = TraceOf(*context);
  if (absl::Status status = CheckJobName("name", request->name()); !status.ok()) return Answer(context, status);
  return AnswerAfterCheck(context, access_, *request, [&](grpc::ServerUnaryReactor* reactor) { scheduler_.DeleteJob(request->name(), FinishEmpty(reactor)); });
}

absl::Status FineTuningJobService::FillSpec(const Caller& caller, const google::protobuf::Message& request, v1::FineTuningSpec& spec) {
  ATTUNE_RETURN_IF_ERROR(access_.Check(caller, request));
  ATTUNE_ASSIGN_OR_RETURN(std::string project, caller.ProjectForNew(spec.scheduling().project(), "spec.scheduling.project"));
  if (project != kDefaultProject || !spec.scheduling().project().empty()) spec.mutable_scheduling()->set_project(std::move(project));
  return absl::OkStatus();
}

absl::StatusOr<v1::CreateFineTuningJobRequest> FineTuningJobService::EffectiveRequest(const Caller& caller, const v1::CreateFineTuningJobRequest& request) {
  v1::CreateFineTuningJobRequest effective = request;
  ATTUNE_RETURN_IF_ERROR(FillSpec(caller, request, *effective.mutable_spec()));
  effective.set_request_id(ScopedRequestId(ProjectOrDefault(effective.spec().scheduling().project()), request.request_id()));
  return effective;
}

absl::StatusOr<auth::QuotaLease> FineTuningJobService::BeginWatch(const grpc::ServerContextBase& context, const v1::WatchFineTuningJobRequest& watch) {
  ATTUNE_ASSIGN_OR_RETURN(const Caller caller, access_.Admit(context, watch));
  const absl::StatusOr<v1::FineTuningJob> job = scheduler_.GetJob(watch.name());
  if (!job.ok()) return auth::QuotaLease();  // the stream says what is wrong
  return access_.Begin(ProjectOrDefault(job->spec().scheduling().project()), auth::QuotaKind::kWatcher);
}

EventStreams::Reactor* FineTuningJobService::WatchFineTuningJob(grpc::CallbackServerContext* context,
                                                                const grpc::ByteBuffer* request) {
  v1::WatchFineTuningJobRequest watch;
  grpc::ByteBuffer bytes = *request;  // parsing consumes it
  // What cannot be parsed has no name, and is refused for that.
  if (!grpc::SerializationTraits<v1::WatchFineTuningJobRequest>::Deserialize(&bytes, &watch).ok()) watch.Clear();
  absl::StatusOr<auth::QuotaLease> lease = BeginWatch(*context, watch);
  if (!lease.ok()) return streams_.Refuse(lease.status());
  return streams_.Watch(watch, *std::move(lease));
}

grpc::ServerUnaryReactor* FineTuningJobService::ListJobEvents(grpc::CallbackServerContext* context,
                                                              const v1::ListJobEventsRequest* request,
                                                              v1::ListJobEventsResponse* response) {
  RequestCheck check;
  check.Name("parent", request->parent(), kCollection);
  check.PageSize(request->page_size());
  if (request->after_sequence() < 0) check.Violate("after_sequence", "is negative; use 0 for all events");
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request] { return ListEvents(*request); });
}

absl::StatusOr<v1::ListJobEventsResponse> FineTuningJobService::ListEvents(const v1::ListJobEventsRequest& request) {
  ATTUNE_RETURN_IF_ERROR(scheduler_.GetJob(request.parent()).status());
  ATTUNE_ASSIGN_OR_RETURN(std::string id, ParseResourceName(request.parent(), kCollection));
  std::string scope = StrCat("events of ", request.parent());
  ATTUNE_ASSIGN_OR_RETURN(int64_t cursor, ReadCursor(scope, request.page_token()));
  int page_size = EffectivePageSize(request.page_size(), 200, 1000);
  // One more than asked for tells whether there is a next page.
  ATTUNE_ASSIGN_OR_RETURN(std::vector<v1::JobEvent> events,
                          log_.List(id, std::max(cursor, request.after_sequence()), page_size + 1));
  v1::ListJobEventsResponse response;
  if (events.size() > static_cast<size_t>(page_size)) {
    events.resize(static_cast<size_t>(page_size));
    response.set_next_page_token(MakePageToken(scope, StrCat(events.back().sequence())));
  }
  for (v1::JobEvent& event : events) *response.add_events() = std::move(event);
  return response;
}

grpc::ServerUnaryReactor* FineTuningJobService::ListJobMetrics(grpc::CallbackServerContext* context,
                                                               const v1::ListJobMetricsRequest* request,
                                                               v1::ListJobMetricsResponse* response) {
  RequestCheck check;
  check.Name("parent", request->parent(), kCollection);
  check.PageSize(request->page_size());
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request] { return ListMetrics(*request); });
}

absl::StatusOr<v1::ListJobMetricsResponse> FineTuningJobService::ListMetrics(const v1::ListJobMetricsRequest& request) {
  ATTUNE_RETURN_IF_ERROR(scheduler_.GetJob(request.parent()).status());
  ATTUNE_ASSIGN_OR_RETURN(std::string id, ParseResourceName(request.parent(), kCollection));
  std::string scope = StrCat("metrics of ", request.parent());
  ATTUNE_ASSIGN_OR_RETURN(int64_t cursor, ReadCursor(scope, request.page_token()));
  int page_size = EffectivePageSize(request.page_size(), 1000, 10000);
  int64_t last_sequence = 0;
  ATTUNE_ASSIGN_OR_RETURN(std::vector<v1::MetricPoint> points, log_.ListMetrics(id, cursor, page_size, &last_sequence));
  v1::ListJobMetricsResponse response;
  // A full page may be the last one; then the next is empty. Points carry no sequence that one more could be cut at.
  if (points.size() == static_cast<size_t>(page_size)) response.set_next_page_token(MakePageToken(scope, StrCat(last_sequence)));
  for (v1::MetricPoint& point : points) *response.add_points() = std::move(point);
  return response;
}

}  // namespace attune::api
