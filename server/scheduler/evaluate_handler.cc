// Evaluations: names become directories, and the pool does the rest. Runs on the caller's thread; touches snapshots, stores and the pool alone.
#include <utility>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/jobs/job.h"
#include "server/jobs/violations.h"
#include "server/scheduler/requests/evaluate_request.h"
#include "server/scheduler/job_scheduler.h"

namespace attune::scheduler {

absl::StatusOr<JobScheduler::Evaluation> JobScheduler::ResolveEvaluation(const v1::EvaluateRequest& request) {
  ATTUNE_RETURN_IF_ERROR(jobs::ViolationsStatus(CheckEvaluateRequest(request)));
  ATTUNE_ASSIGN_OR_RETURN(ResolvedCheckpoint checkpoint, ResolveCheckpoint(request.checkpoint()));
  ATTUNE_ASSIGN_OR_RETURN(v1::FineTuningJob job, snapshots_.Get(jobs::JobName(checkpoint.record.job_id)));
  const std::string name = request.dataset().empty() ? job.spec().dataset() : request.dataset();
  absl::StatusOr<v1::Dataset> dataset = deps_.datasets.Get(name);
  if (absl::IsNotFound(dataset.status()) && request.dataset().empty()) {
    return absl::NotFoundError(StrCat("dataset: ", name, ", which ", job.name(), " learnt from, is not there any more; name another with the same classes"));
  }
  ATTUNE_RETURN_IF_ERROR(dataset.status());
  ATTUNE_ASSIGN_OR_RETURN(std::string directory, deps_.datasets.Directory(name));
  ATTUNE_RETURN_IF_ERROR(jobs::ViolationsStatus(CheckEvaluateDataset(request, job, *dataset)));
  Evaluation evaluation;
  evaluation.command = MakeEvaluation(request);
  evaluation.command.set_checkpoint_dir(DirectoryOf(checkpoint.record));
  evaluation.command.set_dataset_dir(directory);
  evaluation.checkpoint = checkpoint.record.resource.name();
  evaluation.step = checkpoint.record.step;
  evaluation.dataset = name;
  return evaluation;
}

std::function<void()> JobScheduler::Evaluate(v1::EvaluateRequest request, EvaluateCallbacks callbacks) {
  absl::StatusOr<Evaluation> evaluation = ResolveEvaluation(request);
  if (!evaluation.ok()) {
    callbacks.done(evaluation.status());
    return [] {};
  }
  workers::WorkerPool::EvaluateCallbacks of_pool;
  of_pool.progress = std::move(callbacks.progress);
  of_pool.done = [done = std::move(callbacks.done), checkpoint = evaluation->checkpoint, step = evaluation->step,
                  dataset = evaluation->dataset](absl::StatusOr<v1::CheckpointEvaluation> result) {
    // The worker has no other input that a caller could be at fault for.
    if (absl::IsInvalidArgument(result.status())) return done(jobs::ViolationsStatus({{"dataset", std::string(result.status().message())}}));
    if (!result.ok()) return done(result.status());
    result->set_checkpoint(checkpoint);
    result->set_dataset(dataset);
    result->mutable_evaluation()->set_step(step);
    done(std::move(result));
  };
  const int64_t id = deps_.pool.Evaluate(std::move(evaluation->command), std::move(of_pool));
  return [&pool = deps_.pool, id] { pool.CancelEvaluation(id); };
}

}  // namespace attune::scheduler
