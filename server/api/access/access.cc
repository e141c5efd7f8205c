#include "server/api/access/access.h"

#include <utility>

#include "absl/strings/match.h"
#include "google/protobuf/descriptor.h"
#include "server/api/access/references.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::api {
namespace {

constexpr int32_t kPage = 1000;

bool IsShareable(std::string_view name) { return absl::StartsWith(AbslView(name), "datasets/") || absl::StartsWith(AbslView(name), "models/"); }

absl::Status NoSuch(const std::string& name) { return absl::NotFoundError(StrCat(name, " does not exist in your projects")); }

}  // namespace

absl::StatusOr<Caller> Access::CallerOf(const grpc::ServerContextBase& context) {
  if (sources_.gate == nullptr) return Caller();
  ATTUNE_ASSIGN_OR_RETURN(auth::Identity identity, sources_.gate->CallerOf(context));
  Caller caller(std::move(identity));
  if (sources_.quotas != nullptr && !caller.HasAllProjects() && !caller.identity().projects.empty()) ATTUNE_RETURN_IF_ERROR(sources_.quotas->TakeRequest(caller.identity().projects[0]));
  return caller;
}

absl::StatusOr<std::string> Access::ProjectOf(const std::string& name) {
  const size_t slash = name.find('/');
  const std::string collection = name.substr(0, slash), id = slash == name.npos ? "" : name.substr(slash + 1);
  if (collection == "uploads") {
    ATTUNE_ASSIGN_OR_RETURN(const artifacts::UploadInfo info, sources_.artifacts.GetUpload(id));
    return ProjectOrDefault(info.project);
  }
  if (collection == "datasets") {
    ATTUNE_ASSIGN_OR_RETURN(const v1::Dataset dataset, sources_.datasets.Get(name));
    return ProjectOrDefault(dataset.project());
  }
  if (collection == "models") {
    ATTUNE_ASSIGN_OR_RETURN(const v1::Model model, sources_.catalogue.Get(name));
    return ProjectOrDefault(model.project());
  }
  ATTUNE_ASSIGN_OR_RETURN(const v1::FineTuningJob job, sources_.scheduler.GetJob(name));
  return ProjectOrDefault(job.spec().scheduling().project());
}

absl::StatusOr<std::string> Access::ProjectSeenBy(const Caller& caller, const std::string& name, bool changes) {
  absl::StatusOr<std::string> project = ProjectOf(name);
  if (caller.HasAllProjects()) return project;
  if (!project.ok() && (absl::IsNotFound(project.status()) || absl::IsInvalidArgument(project.status()))) return NoSuch(name);
  ATTUNE_RETURN_IF_ERROR(project.status());
  if (caller.Has(*project) || (!changes && *project == kSharedProject && IsShareable(name))) return project;
  return NoSuch(name);
}

absl::Status Access::Check(const Caller& caller, const google::protobuf::Message& request) {
  if (caller.HasAllProjects()) return absl::OkStatus();
  const bool changes = absl::StartsWith(request.GetDescriptor()->name(), "Delete");
  for (const std::string& name : ReferencesIn(request)) ATTUNE_RETURN_IF_ERROR(ProjectSeenBy(caller, name, changes).status());
  return absl::OkStatus();
}

absl::StatusOr<Caller> Access::Admit(const grpc::ServerContextBase& context, const google::protobuf::Message& request) {
  ATTUNE_ASSIGN_OR_RETURN(Caller caller, CallerOf(context));
  ATTUNE_RETURN_IF_ERROR(Check(caller, request));
  return caller;
}

absl::StatusOr<auth::QuotaLease> Access::Begin(const std::string& project, auth::QuotaKind kind) {
  if (sources_.quotas == nullptr) return auth::QuotaLease();
  return sources_.quotas->Begin(project, kind);
}

absl::StatusOr<int64_t> Access::StoredBytes(const std::string& project) {
  ATTUNE_ASSIGN_OR_RETURN(int64_t bytes, sources_.artifacts.UploadBytes(project));
  ATTUNE_ASSIGN_OR_RETURN(const int64_t datasets, sources_.datasets.StoredBytes(project));
  bytes += datasets + sources_.scheduler.UseOf(project).checkpoint_bytes;
  std::string page_token;
  do {
    ATTUNE_ASSIGN_OR_RETURN(const v1::ListModelsResponse page, sources_.catalogue.List(ProjectSet({project}), kPage, page_token));
    for (const v1::Model& model : page.models()) bytes += model.size_bytes();
    page_token = page.next_page_token();
  } while (!page_token.empty());
  return bytes;
}

absl::Status Access::CheckStorage(const std::string& project, int64_t added) {
  if (sources_.quotas == nullptr || sources_.quotas->LimitsOf(project).stored_bytes <= 0) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(const int64_t stored, StoredBytes(project));
  return sources_.quotas->CheckStorage(project, stored, added);
}

absl::Status Access::CheckNewJob(const std::string& project) {
  if (sources_.quotas == nullptr) return absl::OkStatus();
  ATTUNE_RETURN_IF_ERROR(CheckStorage(project, 1));
  return sources_.quotas->CheckQueue(project, sources_.scheduler.UseOf(project).queued_jobs);
}

}  // namespace attune::api
