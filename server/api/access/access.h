// Access: who makes a call, and whether what their request speaks of is theirs. Owned by ApiServer; its parts must outlive it. Thread-safe.
//
// A name of another project gets the answer of a name that does not exist, with the same words, so that guessing tells nothing. Datasets and models of kSharedProject are everybody's to read and use, and
// their own members' to delete. Callers of all projects are asked nothing and cost nothing.
//
// Errors: UNAUTHENTICATED where the credential ended since the call began; RESOURCE_EXHAUSTED with a QuotaFailure for too many calls; NOT_FOUND.
//
//   ATTUNE_ASSIGN_OR_RETURN(Caller caller, access.CallerOf(*context));
//   ATTUNE_RETURN_IF_ERROR(access.Check(caller, *request));   // where it may wait for a disk
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "server/api/access/caller.h"
#include "server/artifacts/artifact_store.h"
#include "server/auth/gate/call_gate.h"
#include "server/auth/quotas.h"
#include "server/catalogue/model_catalogue.h"
#include "server/datasets/dataset_store.h"
#include "server/scheduler/scheduler.h"

namespace attune::api {

struct AccessSources {
  artifacts::ArtifactStore& artifacts;
  datasets::DatasetStore& datasets;
  catalogue::ModelCatalogue& catalogue;
  scheduler::Scheduler& scheduler;
  auth::CallGate* gate = nullptr;         // null: nobody is asked, and everybody has all projects
  auth::ProjectQuotas* quotas = nullptr;  // null: none
};

class Access {
 public:
  explicit Access(AccessSources sources) : sources_(sources) {}

  // Counts as a call of their (first) project. Does not block.
  absl::StatusOr<Caller> CallerOf(const grpc::ServerContextBase& context);

  // Reads the rows of uploads, datasets and models that `request` names; a job's are in memory.
  absl::Status Check(const Caller& caller, const google::protobuf::Message& request);
  // The project of "uploads/u2x" and the like. NOT_FOUND where it is not the caller's; `changes`: reading is not all that it is for.
  absl::StatusOr<std::string> ProjectSeenBy(const Caller& caller, const std::string& name, bool changes);

  // Both, for requests that name nothing but jobs and their checkpoints.
  absl::StatusOr<Caller> Admit(const grpc::ServerContextBase& context, const google::protobuf::Message& request);

  // Counts an upload or a watch of `project` until the lease goes.
  absl::StatusOr<auth::QuotaLease> Begin(const std::string& project, auth::QuotaKind kind);
  // Whether `added` bytes fit beside what the project has stored. Reads the disk.
  absl::Status CheckStorage(const std::string& project, int64_t added);
  // Whether the project may have one more job wait, and anything stored of it. Reads the disk.
  absl::Status CheckNewJob(const std::string& project);

 private:
  absl::StatusOr<std::string> ProjectOf(const std::string& name);
  absl::StatusOr<int64_t> StoredBytes(const std::string& project);

  const AccessSources sources_;
};

}  // namespace attune::api
