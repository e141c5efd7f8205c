// Plans: the spec is checked as a job's is, names become directories, and a worker measures. Beside a few facts of the server nothing is kept.
#include <utility>

#include "server/base/ids.h"
#include "server/base/log.h"
#include "server/base/str_cat.h"
#include "server/jobs/violations.h"
#include "server/scheduler/job_scheduler.h"
#include "server/scheduler/requests/plan_facts.h"

namespace attune::scheduler {

std::function<void()> JobScheduler::Plan(v1::PlanFineTuningJobRequest request, std::function<void(absl::StatusOr<v1::PlanFineTuningJobResponse>)> done) {
  auto plan = std::make_shared<PlanInProgress>();
  plan->done = std::move(done);
  loop_->Post([this, plan, request = std::move(request)] { HandlePlan(request, plan); });
  return [this, loop = loop_, plan] {
    loop->Post([this, plan] { CancelPlan(*plan); });
  };
}

void JobScheduler::CancelPlan(PlanInProgress& plan) {
  plan.cancelled = true;
  if (plan.probe != 0) deps_.pool.CancelProbe(plan.probe);
}

void JobScheduler::HandlePlan(const v1::PlanFineTuningJobRequest& request, const std::shared_ptr<PlanInProgress>& plan) {
  if (draining_) return plan->done(absl::UnavailableError("the server is shutting down; try again in a moment"));
  v1::CreateFineTuningJobRequest create;
  if (request.has_spec()) *create.mutable_spec() = request.spec();
  plan->used = ResourcesOf(create.spec());
  snapshots_.Hold(plan->used);  // at once: the check reads them
  absl::StatusOr<CheckedRequest> checked = CheckRequest(create);
  absl::Status status = checked.status();
  if (const std::string trouble = deps_.pool.Status().trouble; status.ok() && !trouble.empty()) {
    status = absl::UnavailableError(StrCat("no worker can be started: ", trouble));
  }
  if (!status.ok()) {
    snapshots_.Release(plan->used);
    return plan->done(status);
  }
  PreparePlan(plan, std::move(checked->resource));
}

void JobScheduler::PreparePlan(const std::shared_ptr<PlanInProgress>& plan, v1::FineTuningJob resource) {
  plan->id = NewId('j');
  plan->effective_spec = resource.effective_spec();
  jobs::Job job;
  job.id = plan->id;
  job.resource = std::move(resource);
  DoFileWork(
      [this, job = std::move(job)] {
        std::pair<AttemptPlaces, absl::StatusOr<int64_t>> found{FindPlaces(job, {}, {}), 0};
        if (found.first.status.ok()) found.second = deps_.files.FreeBytes(options_.data_directory);
        return found;
      },
      [this, plan](const std::pair<AttemptPlaces, absl::StatusOr<int64_t>>& found) {
        plan->disk_free_bytes = found.second.value_or(0);
        StartPlan(plan, found.first);
      });
}

void JobScheduler::StartPlan(const std::shared_ptr<PlanInProgress>& plan, const AttemptPlaces& places) {
  if (plan->cancelled) return FinishPlan(plan, absl::CancelledError("cancelled before a worker had it"));
  if (!places.status.ok()) return FinishPlan(plan, places.status);
  worker::v1::Probe probe;
  *probe.mutable_assignment() = MakeAssignment(plan->effective_spec, plan->effective_spec.resources().device(), places);
  probe.set_memory_only(plan->memory_only);
  plan->probe = deps_.pool.Probe(std::move(probe), [this, loop = loop_, plan](absl::StatusOr<v1::PlanFineTuningJobResponse> result) {
    loop->Post([this, plan, result = std::move(result)]() mutable { FinishPlan(plan, std::move(result)); });
  });
}

void JobScheduler::FinishPlan(const std::shared_ptr<PlanInProgress>& plan, absl::StatusOr<v1::PlanFineTuningJobResponse> result) {
  plan->probe = 0;
  snapshots_.Release(plan->used);
  io_->Post([this, directory = OutputDirectory(plan->id)] {
    const absl::Status removed = deps_.files.RemoveRecursively(directory);
    if (!removed.ok()) Log(LogLevel::kWarning, "what a plan wrote could not be removed", {{"path", directory}, {"error", removed.ToString()}});
  });
  // The worker has no other input that a caller could be at fault for.
  if (absl::IsInvalidArgument(result.status())) return plan->done(jobs::ViolationsStatus({{"spec", std::string(result.status().message())}}));
  if (!result.ok()) return plan->done(result.status());
  RememberMemory(plan->effective_spec, result->memory().peak_bytes());
  AddFacts(plan->effective_spec, plan->disk_free_bytes, &*result);
  plan->done(std::move(result));
}

}  // namespace attune::scheduler
