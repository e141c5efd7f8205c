// Creation of jobs: check, make durable, queue.
#include <algorithm>
#include <utility>

#include "server/base/ids.h"
#include "server/base/nearest.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/base/trace_context.h"
#include "server/jobs/job_fields.h"
#include "server/jobs/timestamps.h"
#include "server/jobs/violations.h"
#include "server/scheduler/checkpoint_files.h"
#include "server/scheduler/job_scheduler.h"
#include "server/scheduler/requests/message_digest.h"

namespace attune::scheduler {
namespace {

constexpr int32_t kMostListed = 1000;  // of models or datasets, to name those that could be meant

std::string Digest(v1::CreateFineTuningJobRequest request) {
  request.clear_request_id();
  return MessageDigest(request);
}

void CheckRequestFields(const v1::CreateFineTuningJobRequest& request, std::vector<jobs::FieldViolation>& violations) {
  auto add = [&](const std::string& field, const std::string& description) { violations.push_back({field, description}); };
  jobs::CheckDisplayName(request.display_name(), "display_name", violations);
  if (request.request_id().size() > kMaxScopedRequestIdBytes) add("request_id", StrCat("has ", request.request_id().size(), " bytes and may have ", kMaxScopedRequestIdBytes));
  jobs::CheckLabels(request.labels(), "labels", violations);
  if (!request.has_spec()) add("spec", "is required");
}

// Where to look for a name that could be meant: a job's project must not hear of those of others.
ProjectSet Visible(const v1::FineTuningSpec& spec) { return ProjectSet({ProjectOrDefault(spec.scheduling().project()), std::string(kSharedProject)}); }

// NOT_FOUND with the nearest of the names that exist.
absl::Status NotFound(const std::string& name, const std::string& field, const std::vector<std::string>& names) {
  std::string nearest = Nearest(name, names);
  return absl::NotFoundError(StrCat("spec.", field, ": ", name, " does not exist", nearest.empty() ? "" : StrCat("; did you mean ", nearest, "?")));
}

}  // namespace

void JobScheduler::HandleCreate(const v1::CreateFineTuningJobRequest& request, const absl::Status& admission, JobCallback done) {
  if (draining_) return done(absl::UnavailableError("the server is shutting down; try again in a moment"));
  std::string digest;
  if (!request.request_id().empty() && !request.validate_only()) {
    digest = Digest(request);
    auto found = requests_.find(request.request_id());
    if (found != requests_.end()) return AnswerRepeatedRequest(found->second, digest, std::move(done));
  }
  if (!admission.ok() && !request.validate_only()) return done(admission);
  // From here on neither may be deleted; a job that exists holds them by itself.
  const std::vector<std::string> used = ResourcesOf(request.spec());
  snapshots_.Hold(used);
  absl::StatusOr<CheckedRequest> checked = CheckRequest(request);
  if (!checked.ok() || request.validate_only()) {
    snapshots_.Release(used);
    if (!checked.ok()) return done(checked.status());
    return done(std::move(checked->resource));
  }

  jobs::Job job;
  job.id = deps_.new_id ? deps_.new_id('j') : NewId('j');
  job.order = next_order_++;
  job.request_id = request.request_id();
  job.request_digest = digest;
  job.resource = std::move(checked->resource);
  job.resource.set_name(jobs::JobName(job.id));
  job.resource.set_state(v1::FineTuningJob::STATE_QUEUED);
  job.resource.set_priority(job.resource.effective_spec().scheduling().priority());
  LearnMemory(job.resource);
  *job.resource.mutable_create_time() = jobs::ToTimestamp(deps_.clock.Now());
  job.resource.set_trace_id(CurrentTraceId());
  if (!job.request_id.empty()) requests_[job.request_id] = {digest, job.id};

  const std::string start = job.resource.effective_spec().warm_start().checkpoint();
  const auto held_start = start.empty() ? created_from_.end() : created_from_.insert(start);
  v1::JobEvent event = StateEvent(v1::FineTuningJob::STATE_UNSPECIFIED, v1::FineTuningJob::STATE_QUEUED, "", 0, v1::JobEvent::LEVEL_INFO);
  event.set_trace_id(CurrentTraceId());
  auto durable = [this, loop = loop_, job, used, held_start, warnings = std::move(checked->warnings), done = std::move(done)](absl::Status status) {
    loop->Post([this, job, used, held_start, warnings, done, status] {
      if (status.ok()) {
        AddJob(job, warnings);
      } else {
        requests_.erase(job.request_id);
      }
      snapshots_.Release(used);
      if (held_start != created_from_.end()) created_from_.erase(held_start);
      if (!status.ok()) return done(status);
      done(snapshots_.Get(job.resource.name()));
    });
  };
  deps_.events.Append(job.id, std::move(event), {.changes = {jobs::PutJob{job}}, .done = std::move(durable), .fail_fast = true});
}

void JobScheduler::AddJob(jobs::Job job, const std::vector<std::string>& warnings) {
  int64_t order = job.order;
  std::string id = job.id;
  LiveJob& live = jobs_[id];
  live.job = std::move(job);
  live.since = deps_.clock.Now();
  queue_.emplace(order, id);
  placement_due_ = true;
  metrics_.Created(live.job.resource);
  Publish(live);
  snapshots_.SetJobsAhead(id, static_cast<int>(queue_.size()) - 1);  // until the placement that follows
  for (const std::string& warning : warnings) Append(live, WarningEvent(warning, 0));
}

void JobScheduler::AnswerRepeatedRequest(const RequestEntry& first, const std::string& digest, JobCallback done) {
  if (first.digest != digest) {
    return done(absl::AlreadyExistsError("request_id was used before with another payload; use a new request_id for a new job"));
  }
  // The first request may not be durable yet; this one waits in line behind it.
  auto durable = [this, loop = loop_, name = jobs::JobName(first.job_id), done = std::move(done)](absl::Status status) {
    loop->Post([this, name, done, status] {
      if (!status.ok()) return done(status);
      absl::StatusOr<v1::FineTuningJob> job = snapshots_.Get(name);
      if (!job.ok()) return done(absl::UnavailableError("the first request with this request_id did not succeed; try again"));
      done(std::move(job));
    });
  };
  deps_.events.Commit({.done = std::move(durable), .fail_fast = true});
}

absl::StatusOr<JobScheduler::CheckedRequest> JobScheduler::CheckRequest(const v1::CreateFineTuningJobRequest& request) {
  const v1::FineTuningSpec& spec = request.spec();
  std::vector<jobs::FieldViolation> violations;
  CheckRequestFields(request, violations);
  jobs::SpecCheckInput input;
  input.spec = spec;
  input.devices.assign(description_.devices.devices().begin(), description_.devices.devices().end());
  input.architectures.assign(description_.architectures.architectures().begin(), description_.architectures.architectures().end());
  input.default_threads = options_.worker_threads;
  input.default_lost_attempts = options_.max_lost_attempts;
  auto note = [&](const char* field, const absl::Status& status) -> absl::Status {
    if (status.code() != absl::StatusCode::kInvalidArgument) return status;
    violations.push_back({field, std::string(status.message())});
    return absl::OkStatus();
  };
  if (!spec.base_model().empty()) {
    absl::StatusOr<v1::Model> model = FindModel(spec.base_model(), Visible(spec));
    if (!model.ok()) {
      ATTUNE_RETURN_IF_ERROR(note("spec.base_model", model.status()));
    } else {
      input.model = *std::move(model);
      v1::DescribeLayersRequest describe;
      describe.set_name(spec.base_model());
      describe.set_pooling(spec.head().pooling());
      const absl::StatusOr<v1::DescribeLayersResponse> layers = deps_.models.DescribeLayers(describe);
      if (layers.ok()) {
        input.layers.assign(layers->layers().begin(), layers->layers().end());
      } else {
        ATTUNE_RETURN_IF_ERROR(note("spec.head.pooling", layers.status()));
        input.model.Clear();  // nothing else can be said of a model without layers
      }
    }
  }
  if (!spec.dataset().empty()) {
    absl::StatusOr<v1::Dataset> dataset = FindDataset(spec.dataset(), "dataset", Visible(spec));
    if (!dataset.ok()) {
      ATTUNE_RETURN_IF_ERROR(note("spec.dataset", dataset.status()));
    } else {
      input.dataset = *std::move(dataset);
    }
  }
  if (!spec.replay().dataset().empty()) {
    absl::StatusOr<v1::Dataset> dataset = FindDataset(spec.replay().dataset(), "replay.dataset", Visible(spec));
    if (!dataset.ok()) {
      ATTUNE_RETURN_IF_ERROR(note("spec.replay.dataset", dataset.status()));
    } else {
      input.replay_dataset = *std::move(dataset);
    }
  }
  if (!spec.warm_start().checkpoint().empty()) {
    absl::StatusOr<jobs::WarmStartSource> source = FindWarmStart(spec.warm_start());
    if (!source.ok()) {
      ATTUNE_RETURN_IF_ERROR(note("spec.warm_start.checkpoint", source.status()));
    } else {
      input.warm_start = *std::move(source);
    }
  }
  if (!input.model.name().empty() && !input.dataset.name().empty() && !jobs::SameModality(input.model, input.dataset)) {
    ATTUNE_ASSIGN_OR_RETURN(v1::ListModelsResponse all, deps_.models.List(Visible(spec), kMostListed, ""));
    input.models.assign(all.models().begin(), all.models().end());
  }
  CheckedRequest checked;
  if (request.has_spec()) {
    jobs::SpecCheckResult result = jobs::CheckSpec(input);
    violations.insert(violations.end(), result.violations.begin(), result.violations.end());
    *checked.resource.mutable_effective_spec() = std::move(result.effective);
    checked.warnings = std::move(result.warnings);
  }
  ATTUNE_RETURN_IF_ERROR(jobs::ViolationsStatus(violations));
  checked.resource.set_display_name(!request.display_name().empty()
                                        ? request.display_name()
                                        : StrCat(input.model.display_name().empty() ? spec.base_model() : input.model.display_name(), " on ",
                                                 input.dataset.display_name().empty() ? spec.dataset() : input.dataset.display_name()));
  *checked.resource.mutable_labels() = request.labels();
  *checked.resource.mutable_spec() = spec;
  *checked.resource.mutable_class_labels() = input.dataset.labels();
  if (const int64_t step = jobs::BeginsAfter(checked.resource.effective_spec()); step > 0) {
    checked.resource.mutable_progress()->set_step(step);
    for (const v1::Adjustment& change : input.warm_start.job.adjustments()) {
      if (change.after_step() >= 0 && change.after_step() <= step) *checked.resource.add_adjustments() = change;
    }
  }
  return checked;
}

absl::StatusOr<v1::Model> JobScheduler::FindModel(const std::string& name, const ProjectSet& visible) {
  ATTUNE_RETURN_IF_ERROR(ParseResourceName(name, "models").status());
  absl::StatusOr<v1::Model> model = deps_.models.Get(name);
  if (!absl::IsNotFound(model.status())) return model;
  std::vector<std::string> names;
  if (absl::StatusOr<v1::ListModelsResponse> list = deps_.models.List(visible, kMostListed, ""); list.ok()) {
    for (const v1::Model& other : list->models()) names.push_back(other.name());
  }
  return NotFound(name, "base_model", names);
}

absl::StatusOr<jobs::WarmStartSource> JobScheduler::FindWarmStart(const v1::WarmStart& warm_start) {
  absl::StatusOr<ResolvedCheckpoint> checkpoint = ResolveCheckpoint(warm_start.checkpoint());
  if (absl::IsNotFound(checkpoint.status())) return absl::NotFoundError(StrCat("spec.warm_start.checkpoint: ", std::string(checkpoint.status().message())));
  ATTUNE_RETURN_IF_ERROR(checkpoint.status());
  jobs::WarmStartSource source;
  source.checkpoint = ToResource(*checkpoint);
  ATTUNE_ASSIGN_OR_RETURN(source.job, snapshots_.Get(jobs::JobName(checkpoint->record.job_id)));
  if (warm_start.part() == v1::WarmStart::PART_ALL && source.checkpoint.resumable()) {
    ATTUNE_ASSIGN_OR_RETURN(source.phase, CheckpointPhase(DirectoryOf(checkpoint->record)));
  }
  return source;
}

absl::StatusOr<v1::Dataset> JobScheduler::FindDataset(const std::string& name, const std::string& field, const ProjectSet& visible) {
  ATTUNE_RETURN_IF_ERROR(ParseResourceName(name, "datasets").status());
  absl::StatusOr<v1::Dataset> dataset = deps_.datasets.Get(name);
  if (!absl::IsNotFound(dataset.status())) return dataset;
  std::vector<std::string> names;
  if (absl::StatusOr<v1::ListDatasetsResponse> list = deps_.datasets.List(visible, kMostListed, ""); list.ok()) {
    for (const v1::Dataset& other : list->datasets()) names.push_back(other.name());
  }
  return NotFound(name, field, names);
}

}  // namespace attune::scheduler
