// Attempts: how they start, what their workers report, and how they end.
#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "server/base/log.h"
#include "server/base/projects.h"
#include "server/base/str_cat.h"
#include "server/jobs/backoff.h"
#include "server/jobs/job_fields.h"
#include "server/jobs/timestamps.h"
#include "server/scheduler/checkpoint_files.h"
#include "server/scheduler/feature_cache_files.h"
#include "server/scheduler/job_scheduler.h"
#include "server/scheduler/requests/worker_report.h"

namespace attune::scheduler {
namespace {

using State = v1::FineTuningJob;
using Level = v1::JobEvent;

constexpr size_t kLoggedTailLines = 20;  // of a lost worker's log, as events

int CodeOf(const absl::Status& status) { return static_cast<int>(status.code()); }

v1::FailureInfo::Category CategoryOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      return v1::FailureInfo::CATEGORY_RESOURCE;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
      return v1::FailureInfo::CATEGORY_DATA;  // the model or the dataset is not there any more
    default:
      return v1::FailureInfo::CATEGORY_SYSTEM;
  }
}

}  // namespace

void JobScheduler::StartAttempt(LiveJob& live) {
  live.job.resource.set_attempt(live.attempt() + 1);
  live.starting = true;
  live.run_seconds_at_start = live.job.resource.run_seconds();
  live.suspending = live.out_of_time = live.ending = live.test_reported = false;
  live.work.Clear();
  metrics_.Placed(live.job.resource, deps_.clock.Now() - live.since);
  if (!ChangeState(live, State::STATE_PREPARING, "a worker loads weights and data")) return;
  std::set<std::string> registered;
  for (const auto& [step, checkpoint] : live.checkpoints) registered.insert(checkpoint.directory);
  std::vector<jobs::CheckpointRecord> resumable;
  for (auto it = live.checkpoints.rbegin(); it != live.checkpoints.rend(); ++it) {
    if (it->second.resource.resumable()) resumable.push_back(it->second);
  }
  DoFileWork([this, job = live.job, registered = std::move(registered), resumable = std::move(resumable)] { return FindPlaces(job, registered, resumable); },
             [this, id = live.job.id](const AttemptPlaces& places) { AssignAttempt(id, places); });
}

JobScheduler::AttemptPlaces JobScheduler::FindPlaces(const jobs::Job& job, std::set<std::string> registered, const std::vector<jobs::CheckpointRecord>& resumable) const {
  AttemptPlaces places;
  places.output_directory = OutputDirectory(job.id);
  if (!resumable.empty() && !FileExists(places.output_directory + "/checkpoints")) {
    places.status = absl::DataLossError(StrCat(places.output_directory, " is gone, with the job's checkpoints; is its disk mounted?"));
    return places;
  }
  for (const jobs::CheckpointRecord& checkpoint : resumable) {
    const absl::Status status = VerifyCheckpoint(DirectoryOf(checkpoint), checkpoint.resource);
    if (status.ok()) {
      places.resume_directory = DirectoryOf(checkpoint);
      break;
    }
    places.damaged.emplace_back(checkpoint.step, std::string(status.message()));
    registered.erase(checkpoint.directory);  // what is not registered is removed below
  }
  absl::StatusOr<std::string> model = deps_.models.Directory(job.resource.spec().base_model());
  absl::StatusOr<std::string> dataset = deps_.datasets.Directory(job.resource.spec().dataset());
  places.status = !model.ok() ? model.status() : dataset.status();
  if (!places.status.ok()) return places;
  if (const std::string& second = job.resource.spec().replay().dataset(); !second.empty()) {
    absl::StatusOr<std::string> directory = deps_.datasets.Directory(second);
    places.status = directory.status();
    if (!places.status.ok()) return places;
    places.replay_directory = *std::move(directory);
  }
  places.model_directory = *std::move(model);
  places.dataset_directory = *std::move(dataset);
  places.status = FindStart(job, places);
  if (!places.status.ok()) return places;
  places.status = PrepareOutputDirectory(deps_.files, places.output_directory, registered);
  if (options_.feature_cache_bytes > 0) {
    const std::string project = ProjectOrDefault(job.resource.effective_spec().scheduling().project());
    absl::StatusOr<std::string> cache = PrepareFeatureCache(deps_.files, options_.data_directory + "/feature-cache", project, options_.feature_cache_bytes);
    // A job can do without.
    if (!cache.ok()) Log(LogLevel::kWarning, "the feature cache cannot be used", {{"job", job.id}, {"error", cache.status().ToString()}});
    places.feature_cache_directory = std::move(cache).value_or("");
  }
  return places;
}

absl::Status JobScheduler::FindStart(const jobs::Job& job, AttemptPlaces& places) const {
  const v1::FineTuningSpec& spec = job.resource.effective_spec();
  if (!spec.has_warm_start()) return absl::OkStatus();
  const bool all = spec.warm_start().part() == v1::WarmStart::PART_ALL;
  // Adapters and L2-SP need the weights that they began with in every attempt; for others a checkpoint of their own has all.
  const bool keeps_start = !all && (spec.has_lora() || spec.hyperparameters().l2_sp() > 0);
  if (!places.resume_directory.empty() && !keeps_start) return absl::OkStatus();
  const absl::StatusOr<ResolvedCheckpoint> start = snapshots_.GetCheckpoint(spec.warm_start().checkpoint());
  if (!start.ok()) return absl::FailedPreconditionError(StrCat("what it begins with is gone: ", std::string(start.status().message())));
  const std::string directory = DirectoryOf(start->record);
  if (absl::Status status = VerifyCheckpoint(directory, start->record.resource); !status.ok()) {
    return absl::DataLossError(StrCat(spec.warm_start().checkpoint(), ", which it begins with, is damaged: ", std::string(status.message())));
  }
  (all ? places.resume_directory : places.warm_start_directory) = directory;
  return absl::OkStatus();
}

void JobScheduler::AssignAttempt(const std::string& id, const AttemptPlaces& places) {
  LiveJob* live = Find(id);
  if (live == nullptr) return;
  live->starting = false;
  placement_due_ = true;
  DropDamagedCheckpoints(*live, places.damaged);
  if (live->state() == State::STATE_CANCELLING) {
    ChangeState(*live, State::STATE_CANCELLED, "cancelled on request before a worker had it");
    return;
  }
  if (live->state() == State::STATE_PAUSING) {
    live->job.resource.set_attempt(live->attempt() - 1);  // no worker saw it, so its number is free
    ChangeState(*live, State::STATE_PAUSED, "paused on request before a worker had it");
    return;
  }
  if (!places.status.ok()) {
    return RetryOrFail(*live, {.category = CategoryOf(places.status),
                               .code = CodeOf(places.status),
                               .message = StrCat("the job could not be prepared: ", std::string(places.status.message())),
                               .retryable = true});
  }
  worker::v1::Assign assignment = MakeAssignment(live->job.resource.effective_spec(), live->device, places);
  assignment.mutable_fence()->set_job(live->job.resource.name());
  assignment.mutable_fence()->set_attempt(live->attempt());
  assignment.set_trace_id(live->job.resource.trace_id());
  *assignment.mutable_adjustments() = live->job.resource.adjustments();
  absl::Status status = draining_ ? absl::UnavailableError("the server is shutting down") : deps_.pool.Assign(assignment);
  if (status.ok()) {
    live->attempt_open = true;
    return;
  }
  // No worker saw this attempt, so its number is free.
  live->job.resource.set_attempt(live->attempt() - 1);
  ChangeState(*live, State::STATE_QUEUED, StrCat("no worker took it: ", std::string(status.message())));
}

worker::v1::Assign JobScheduler::MakeAssignment(const v1::FineTuningSpec& effective_spec, const std::string& device, const AttemptPlaces& places) const {
  worker::v1::Assign assignment;
  *assignment.mutable_effective_spec() = effective_spec;
  assignment.mutable_effective_spec()->mutable_resources()->set_device(ConcreteDevice(device));
  assignment.set_model_dir(places.model_directory);
  assignment.set_dataset_dir(places.dataset_directory);
  assignment.set_replay_dataset_dir(places.replay_directory);
  assignment.set_output_dir(places.output_directory);
  assignment.set_resume_dir(places.resume_directory);
  assignment.set_warm_start_dir(places.warm_start_directory);
  if (!places.feature_cache_directory.empty()) {
    assignment.set_feature_cache_dir(places.feature_cache_directory);
    assignment.set_feature_cache_bytes(options_.feature_cache_bytes);
  }
  return assignment;
}

void JobScheduler::DropDamagedCheckpoints(LiveJob& live, const std::vector<std::pair<int64_t, std::string>>& damaged) {
  for (const auto& [step, why] : damaged) {
    metrics_.CheckpointDamaged();
    live.checkpoints.erase(step);
    if (live.job.resource.best_checkpoint() == jobs::CheckpointName(live.job.id, step)) ChooseBest(live);
    const std::string text = StrCat("the checkpoint at step ", step, " is damaged and was dropped (", why, "); ", GoesOnFrom(live));
    Append(live, WarningEvent(text, live.attempt()), {jobs::RemoveCheckpoint{live.job.id, step}, jobs::PutJob{live.job}});
  }
  if (damaged.empty()) return;
  Publish(live);
  snapshots_.PutCheckpoints(live.job.id, live.checkpoints);
}

JobScheduler::LiveJob* JobScheduler::FindAttempt(const workers::AttemptId& attempt) {
  constexpr std::string_view kPrefix = "fineTuningJobs/";
  LiveJob* live = attempt.job.size() > kPrefix.size() ? Find(attempt.job.substr(kPrefix.size())) : nullptr;
  return live != nullptr && live->attempt_open && live->attempt() == attempt.attempt ? live : nullptr;
}

void JobScheduler::HandleMessage(const workers::AttemptId& attempt, worker::v1::ConnectRequest message) {
  LiveJob* live = FindAttempt(attempt);
  if (live == nullptr || live->ending) return;  // late
  if (std::string fault = Bound(message); !fault.empty()) return Append(*live, WarningEvent(std::move(fault), attempt.attempt));
  using Kind = worker::v1::ConnectRequest::KindCase;
  switch (message.kind_case()) {
    case Kind::kStarted:
      return HandleStarted(*live, message.started());
    case Kind::kMetrics:
      return Append(*live, MetricsEvent(std::move(*message.mutable_metrics()), attempt.attempt));
    case Kind::kProgress:
      // The first word of when it will end tells waiting jobs when they will start.
      placement_due_ = placement_due_ || (live->job.resource.progress().eta_seconds() == 0 && message.progress().eta_seconds() > 0);
      *live->job.resource.mutable_progress() = std::move(*message.mutable_progress());
      CountWork(*live, message.work_done());
      CheckRunTime(*live);
      return Publish(*live);
    case Kind::kEvaluation:
      live->test_reported = live->test_reported || message.evaluation().split() == "test";
      return Append(*live, EvaluationEvent(std::move(*message.mutable_evaluation()), attempt.attempt));
    case Kind::kCheckpointWritten:
      return HandleCheckpointWritten(*live, message.checkpoint_written());
    case Kind::kAdjusted:
      return HandleAdjusted(*live, message.adjusted());
    case Kind::kPhaseStarted:
      return Append(*live, PhaseEvent(std::move(*message.mutable_phase_started()), attempt.attempt));
    case Kind::kLogLine:
      return Append(*live, LogEvent(std::move(*message.mutable_log_line()->mutable_text()), attempt.attempt));
    default:
      Log(LogLevel::kWarning, "a worker's message is not understood", {{"job", attempt.job}, {"kind", static_cast<int>(message.kind_case())}});
  }
}

void JobScheduler::CountWork(LiveJob& live, const worker::v1::WorkDone& done) {
  if (live.architecture.empty()) {
    const absl::StatusOr<v1::Model> model = deps_.models.Get(live.job.resource.spec().base_model());
    live.architecture = model.ok() ? model->architecture() : "unknown";
  }
  const int64_t begin = live.resumed_from + live.work.steps(), end = live.resumed_from + done.steps();
  if (live.attempt() == 1 && live.work.steps() == 0 && done.steps() > 0) {
    metrics_.FirstStep(live.job.resource, deps_.clock.Now() - jobs::FromTimestamp(live.job.resource.create_time()));
  }
  metrics_.Worked(live.job.resource, live.architecture, live.work, done, /*repeated=*/std::min(end, live.furthest_step) - begin);
  live.furthest_step = std::max(live.furthest_step, end);
  live.work = done;
}

void JobScheduler::HandleStarted(LiveJob& live, const worker::v1::Started& started) {
  live.resumed_from = started.resumed_from_step();
  live.training_since = deps_.clock.Now();
  if (live.state() != State::STATE_PREPARING) return;  // cancelling or pausing already
  ChangeState(live, State::STATE_RUNNING,
              StrCat("on ", started.device(), " with ", started.threads(), started.threads() == 1 ? " thread" : " threads",
                     started.resumed_from_step() > 0 ? StrCat(", goes on from step ", started.resumed_from_step()) : ""));
}

void JobScheduler::HandleEnd(const workers::AttemptId& attempt, const workers::AttemptEnd& end) {
  LiveJob* live = FindAttempt(attempt);
  if (live == nullptr) return;
  live->attempt_open = live->ending = false;
  if (const auto* finished = std::get_if<worker::v1::Finished>(&end.how)) return HandleFinished(*live, *finished, end.log_tail);
  if (const auto* lost = std::get_if<workers::WorkerLost>(&end.how)) return HandleLost(*live, *lost, end.log_tail);
  const worker::v1::Failed failed = Bounded(std::get<worker::v1::Failed>(end.how));
  if (failed.not_finite()) metrics_.NotFinite();
  RetryOrFail(*live, {.category = failed.category(),
                      .code = failed.code(),
                      .message = failed.message(),
                      .retryable = failed.retryable(),
                      .step = failed.step(),
                      .log_tail = end.log_tail});
}

void JobScheduler::HandleFinished(LiveJob& live, const worker::v1::Finished& finished, const std::vector<std::string>& log_tail) {
  if (finished.cancelled()) {
    return HandleLost(live, {workers::ExitReason::kClean, "the worker stopped although nobody asked for it"}, log_tail);
  }
  if (live.checkpoints.empty() && !finished.has_lr_range_test_result()) {
    return RetryOrFail(live, {.message = "the job came to its end, but none of its checkpoints can be used; look at its events for the reason",
                              .retryable = true,
                              .log_tail = log_tail});
  }
  // A job so short that it ended before it said that it had started still passes through RUNNING.
  if (live.state() == State::STATE_PREPARING) ChangeState(live, State::STATE_RUNNING, "");
  auto best = live.checkpoints.find(finished.best_step());
  if (best != live.checkpoints.end()) live.job.resource.set_best_checkpoint(best->second.resource.name());
  jobs::DropWaiting(live.job.resource, [](const v1::Adjustment&) { return true; });  // they came too late
  if (finished.has_lr_range_test_result()) *live.job.resource.mutable_lr_range_test_result() = finished.lr_range_test_result();
  if (finished.has_test_evaluation()) {
    *live.job.resource.mutable_test_evaluation() = finished.test_evaluation();
    if (!live.test_reported) Append(live, EvaluationEvent(finished.test_evaluation(), live.attempt()));
  }
  const bool cancelling = live.state() == State::STATE_CANCELLING, pausing = live.state() == State::STATE_PAUSING;
  ChangeState(live, State::STATE_SUCCEEDED, cancelling ? "finished before the cancellation reached it" : pausing ? "finished before it could be paused" : "");
}

void JobScheduler::HandleLost(LiveJob& live, const workers::WorkerLost& lost, const std::vector<std::string>& log_tail) {
  if (live.state() == State::STATE_CANCELLING) {
    ChangeState(live, State::STATE_CANCELLED, "cancelled on request");
    return;
  }
  if (live.state() == State::STATE_PAUSING) {
    ChangeState(live, State::STATE_PAUSED, StrCat("paused on request; ", GoesOnFrom(live)));
    return;
  }
  if (live.out_of_time) {
    const int64_t limit = live.job.resource.effective_spec().scheduling().max_run_seconds();
    return Fail(live, {.category = v1::FailureInfo::CATEGORY_RESOURCE,
                       .code = CodeOf(absl::DeadlineExceededError("")),
                       .message = StrCat("the job has trained for the ", limit, " seconds that scheduling.max_run_seconds allows; its checkpoints stay, and a new job may have more"),
                       .retryable = true,
                       .step = live.job.resource.progress().step()});
  }
  if (live.suspending) {
    Requeue(live, live.gives_way_to.empty() ? "the server was shut down" : StrCat("gave way to ", NameFor(live, live.gives_way_to), ", whose priority is higher"), Level::LEVEL_INFO);
    return;
  }
  AppendTail(live, log_tail);
  if (lost.reason == workers::ExitReason::kOutOfMemory && DivideBatches(live)) {
    metrics_.Retried(workers::ExitReasonName(lost.reason));
    return Requeue(live, StrCat(lost.description, "; the next attempt computes each batch in more parts"), Level::LEVEL_WARNING);
  }
  ++live.job.lost_attempts;
  const int allowed = live.job.resource.effective_spec().scheduling().max_lost_attempts();
  if (live.job.lost_attempts >= (allowed > 0 ? allowed : options_.max_lost_attempts)) {
    return Fail(live, {.message = StrCat(lost.description, " (", live.job.lost_attempts, " attempts in a row were lost before they reached a new checkpoint)"),
                       .retryable = true,
                       .step = live.job.resource.progress().step(),
                       .log_tail = log_tail});
  }
  metrics_.Retried(workers::ExitReasonName(lost.reason));
  // The first time at once: most workers are lost to something that does not happen again.
  std::string why = lost.description;
  if (live.job.lost_attempts > 1) {
    StrAppend(&why, "; it is tried again", WaitForRetry(live, jobs::BackoffBefore(live.job.lost_attempts - 1, live.job.resource.effective_spec().scheduling().retry_policy())));
  }
  Requeue(live, why, Level::LEVEL_ERROR);
}

void JobScheduler::AppendTail(const LiveJob& live, const std::vector<std::string>& log_tail) {
  const size_t first = log_tail.size() > kLoggedTailLines ? log_tail.size() - kLoggedTailLines : 0;
  for (size_t i = first; i < log_tail.size(); ++i) Append(live, LogEvent(log_tail[i], live.attempt(), Level::LEVEL_WARNING));
}

std::string JobScheduler::WaitForRetry(LiveJob& live, absl::Duration backoff) {
  if (backoff <= absl::ZeroDuration()) return " at once";
  const absl::Time at = deps_.clock.Now() + backoff;
  *live.job.resource.mutable_retry_time() = jobs::ToTimestamp(at);
  return StrCat(" at ", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", at, absl::UTCTimeZone()));
}

void JobScheduler::RetryOrFail(LiveJob& live, const Failure& failure) {
  const v1::RetryPolicy& policy = live.job.resource.effective_spec().scheduling().retry_policy();
  const int allowed = failure.retryable ? jobs::RetriesAllowed(failure.category, policy) : 0;
  const auto counted = live.job.resource.retries().find(jobs::RetryKey(failure.category));
  const int done = counted == live.job.resource.retries().end() ? 0 : counted->second;
  if (done >= allowed || live.state() == State::STATE_CANCELLING) {
    Failure last = failure;
    if (allowed > 0 && done >= allowed) StrAppend(&last.message, " (after ", done, done == 1 ? " retry" : " retries", ")");
    return Fail(live, last);
  }
  metrics_.Retried(absl::AsciiStrToLower(jobs::RetryKey(failure.category)));
  AppendTail(live, failure.log_tail);
  (*live.job.resource.mutable_retries())[jobs::RetryKey(failure.category)] = done + 1;
  const std::string what = StrCat("attempt ", live.attempt(), " failed (", failure.message, ")");
  if (live.state() == State::STATE_PAUSING) {
    ChangeState(live, State::STATE_PAUSED, StrCat("paused on request; ", what, "; ", GoesOnFrom(live)), Level::LEVEL_WARNING);
    return;
  }
  const std::string when = WaitForRetry(live, jobs::BackoffBefore(done + 1, policy));
  Requeue(live, StrCat(what, "; it is tried again", when, ", ", done + 1, " of ", allowed), Level::LEVEL_WARNING);
}

void JobScheduler::Fail(LiveJob& live, const Failure& failure) {
  *live.job.resource.mutable_error() = FailureStatus(failure);
  ChangeState(live, State::STATE_FAILED, failure.message, Level::LEVEL_ERROR);
}

std::string JobScheduler::GoesOnFrom(LiveJob& live) const {
  const jobs::CheckpointRecord* last = LastResumable(live);
  v1::JobProgress& progress = *live.job.resource.mutable_progress();
  const int64_t begins_after = jobs::BeginsAfter(live.job.resource.effective_spec());
  progress.set_step(last == nullptr ? begins_after : last->step);
  progress.set_eta_seconds(0);
  progress.set_samples_per_second(0);
  if (last != nullptr) return StrCat("it goes on from the checkpoint at step ", last->step);
  return begins_after > 0 ? StrCat("it goes on from ", live.job.resource.effective_spec().warm_start().checkpoint()) : std::string("it starts from the beginning");
}

void JobScheduler::Requeue(LiveJob& live, const std::string& why, v1::JobEvent::Level level) {
  ChangeState(live, State::STATE_QUEUED, StrCat(why, "; ", GoesOnFrom(live)), level);
}

}  // namespace attune::scheduler
