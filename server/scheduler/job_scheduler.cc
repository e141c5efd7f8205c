#include "server/scheduler/job_scheduler.h"

#include <utility>

#include "absl/synchronization/notification.h"
#include "server/base/ids.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/base/trace_context.h"
#include "server/jobs/job_fields.h"
#include "server/jobs/timestamps.h"
#include "server/jobs/violations.h"
#include "server/scheduler/requests/predict_inputs.h"
#include "server/scheduler/executors/serial_executor.h"

namespace attune::scheduler {
namespace {

// For workers that were told to exit when the scheduler goes away without a drain.
constexpr absl::Duration kStopGrace = absl::Seconds(5);
// Between SIGKILL and the end of the attempts: reaping and bookkeeping only.
constexpr absl::Duration kKillGrace = absl::Seconds(10);

}  // namespace

absl::StatusOr<std::unique_ptr<Scheduler>> Scheduler::Create(SchedulerOptions options, SchedulerDependencies dependencies,
                                                             workers::WorkerDescription description) {
  if (options.job_slots < 1) return absl::InvalidArgumentError("job_slots must be at least 1");
  if (options.max_lost_attempts < 1) return absl::InvalidArgumentError("max_lost_attempts must be at least 1");
  auto scheduler = std::make_unique<JobScheduler>(std::move(options), dependencies, std::move(description));
  ATTUNE_RETURN_IF_ERROR(scheduler->Start());
  return scheduler;
}

JobScheduler::JobScheduler(SchedulerOptions options, SchedulerDependencies dependencies, workers::WorkerDescription description)
    : options_(std::move(options)), deps_(dependencies), description_(std::move(description)), devices_(JobDevices(options_, description_)), registry_(deps_.registry), metrics_(registry_.get()) {
  const ExecutorFactory make = deps_.make_executor ? deps_.make_executor : [](Executor::Task when_idle) { return std::make_shared<SerialExecutor>(std::move(when_idle)); };
  loop_ = make([this] { PlaceJobs(); });
  io_ = make(nullptr);
}

JobScheduler::~JobScheduler() {
  loop_->Post([this] {
    draining_ = true;
    SuspendAttempts(/*tell=*/false);  // Stop does
  });
  deps_.pool.Stop(kStopGrace);
  // The I/O thread first: what it still finds out, the loop still records.
  io_->Stop();
  loop_->Stop();
}

absl::Status JobScheduler::Start() {
  ATTUNE_RETURN_IF_ERROR(Recover());
  deps_.pool.Start(*this);
  loop_->Post([] {});  // the first placement
  return absl::OkStatus();
}

void JobScheduler::CreateJob(v1::CreateFineTuningJobRequest request, absl::Status admission, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) {
  loop_->Post([this, request = std::move(request), admission = std::move(admission), done = std::move(done)]() mutable { HandleCreate(request, admission, std::move(done)); });
}

void JobScheduler::PostVerb(const std::string& name, void (JobScheduler::*handle)(const std::string& id, JobCallback done), JobCallback done) {
  absl::StatusOr<std::string> id = ParseResourceName(name, "fineTuningJobs");
  if (!id.ok()) return done(id.status());
  loop_->Post([this, handle, id = *id, done = std::move(done)]() mutable { (this->*handle)(id, std::move(done)); });
}

void JobScheduler::CancelJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) {
  PostVerb(name, &JobScheduler::HandleCancel, std::move(done));
}

void JobScheduler::PauseJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) {
  PostVerb(name, &JobScheduler::HandlePause, std::move(done));
}

void JobScheduler::ResumeJob(const std::string& name, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) {
  PostVerb(name, &JobScheduler::HandleResume, std::move(done));
}

void JobScheduler::UpdateJob(v1::UpdateFineTuningJobRequest request, std::function<void(absl::StatusOr<v1::FineTuningJob>)> done) {
  absl::StatusOr<std::string> id = ParseResourceName(request.fine_tuning_job().name(), "fineTuningJobs");
  if (!id.ok()) return done(id.status());
  loop_->Post([this, request = std::move(request), done = std::move(done)]() mutable { HandleUpdate(request, std::move(done)); });
}

void JobScheduler::DeleteJob(const std::string& name, std::function<void(absl::Status)> done) {
  absl::StatusOr<std::string> id = ParseResourceName(name, "fineTuningJobs");
  if (!id.ok()) return done(id.status());
  loop_->Post([this, id = *id, done = std::move(done)]() mutable { HandleDelete(id, std::move(done)); });
}

void JobScheduler::UpdateCheckpoint(v1::UpdateCheckpointRequest request, std::function<void(absl::StatusOr<v1::Checkpoint>)> done) {
  if (absl::Status status = jobs::CheckUpdate(request); !status.ok()) return done(status);
  absl::StatusOr<ResolvedCheckpoint> checkpoint = ResolveCheckpoint(request.checkpoint().name());
  if (!checkpoint.ok()) return done(checkpoint.status());
  loop_->Post([this, id = checkpoint->record.job_id, step = checkpoint->record.step, pinned = request.checkpoint().pinned(), done = std::move(done)]() mutable {
    HandleUpdateCheckpoint(id, step, pinned, std::move(done));
  });
}

void JobScheduler::DeleteCheckpoint(const std::string& name, std::function<void(absl::Status)> done) {
  absl::StatusOr<ResolvedCheckpoint> checkpoint = snapshots_.GetCheckpoint(name);
  if (!checkpoint.ok()) return done(checkpoint.status());
  if (name != checkpoint->record.resource.name()) {
    return done(absl::InvalidArgumentError(StrCat("name: say which checkpoint to delete by its step: ", checkpoint->record.resource.name())));
  }
  loop_->Post([this, id = checkpoint->record.job_id, step = checkpoint->record.step, done = std::move(done)]() mutable {
    HandleDeleteCheckpoint(id, step, std::move(done));
  });
}

absl::StatusOr<v1::FineTuningJob> JobScheduler::GetJob(const std::string& name) { return snapshots_.Get(name); }

int64_t JobScheduler::WaitingVersion(const std::string& name) { return snapshots_.WaitingVersion(name); }

ProjectUse JobScheduler::UseOf(const std::string& project) { return snapshots_.UseOf(project); }

absl::StatusOr<v1::ListFineTuningJobsResponse> JobScheduler::ListJobs(const v1::ListFineTuningJobsRequest& request, const ProjectSet& projects) { return snapshots_.List(request, projects); }

bool JobScheduler::IsInUse(const std::string& resource_name) { return snapshots_.IsInUse(resource_name); }

SchedulerCounts JobScheduler::Counts() {
  SchedulerCounts counts = snapshots_.Count(deps_.clock.Now(), [this](const std::string& project) { return metrics_.ProjectLabel(project); });
  counts.job_slots = options_.job_slots;
  const workers::PoolStatus pool = deps_.pool.Status();
  counts.idle_workers = pool.idle;
  counts.starting_workers = pool.starting;
  counts.busy_workers = pool.busy;
  return counts;
}

absl::StatusOr<v1::Checkpoint> JobScheduler::GetCheckpoint(const std::string& name) {
  ATTUNE_ASSIGN_OR_RETURN(ResolvedCheckpoint checkpoint, snapshots_.GetCheckpoint(name));
  return ToResource(checkpoint);
}

absl::StatusOr<v1::ListCheckpointsResponse> JobScheduler::ListCheckpoints(const v1::ListCheckpointsRequest& request) {
  return snapshots_.ListCheckpoints(request);
}

absl::StatusOr<std::string> JobScheduler::CheckpointDirectory(const std::string& name) {
  ATTUNE_ASSIGN_OR_RETURN(ResolvedCheckpoint checkpoint, snapshots_.GetCheckpoint(name));
  return DirectoryOf(checkpoint.record);
}

absl::StatusOr<ResolvedCheckpoint> JobScheduler::ResolveCheckpoint(std::string name) const {
  if (name.find("/checkpoints/") == std::string::npos) name += "/checkpoints/best";
  return snapshots_.GetCheckpoint(name);
}

void JobScheduler::Predict(v1::PredictRequest request, std::function<void(absl::StatusOr<v1::PredictResponse>)> done) {
  if (absl::Status status = jobs::ViolationsStatus(CheckPredictInputs(request)); !status.ok()) return done(status);
  absl::StatusOr<ResolvedCheckpoint> checkpoint = ResolveCheckpoint(request.checkpoint());
  if (!checkpoint.ok()) return done(checkpoint.status());
  absl::StatusOr<v1::FineTuningJob> job = snapshots_.Get(jobs::JobName(checkpoint->record.job_id));
  if (!job.ok()) return done(job.status());
  if (absl::Status status = jobs::ViolationsStatus(CheckPredictModality(request, *job)); !status.ok()) return done(status);
  worker::v1::Predict prediction;
  prediction.set_checkpoint_dir(DirectoryOf(checkpoint->record));
  *prediction.mutable_inputs() = std::move(*request.mutable_inputs());
  *prediction.mutable_images() = std::move(*request.mutable_images());
  prediction.set_views(request.views());
  auto answer = [done = std::move(done), resolved = checkpoint->record.resource.name()](absl::StatusOr<std::vector<v1::Prediction>> predictions) {
    if (!predictions.ok()) return done(predictions.status());
    v1::PredictResponse response;
    response.set_checkpoint(resolved);
    for (v1::Prediction& each : *predictions) *response.add_predictions() = std::move(each);
    done(std::move(response));
  };
  deps_.pool.Predict(std::move(prediction), std::move(answer));
}

void JobScheduler::HoldCheckpoints(const std::function<void()>& work) {
  const auto pass = [](Executor& executor, const std::function<void()>& task) {
    absl::Notification done;
    executor.Post([&] {
      task();
      done.Notify();
    });
    done.WaitForNotification();
  };
  pass(*loop_, [this] { ++holds_; });
  // Removals that have begun come to their end: a wait for what is durable, the files, the row.
  deps_.events.Flush().IgnoreError();
  pass(*loop_, [] {});
  pass(*io_, [] {});
  pass(*loop_, [] {});
  deps_.events.Flush().IgnoreError();
  work();
  loop_->Post([this] {
    if (--holds_ > 0) return;
    for (auto& [id, live] : jobs_) {
      if (!live.deleting) ApplyRetention(live);
    }
  });
}

void JobScheduler::Drain() {
  loop_->Post([this] {
    draining_ = true;
    placement_due_ = true;
    SuspendAttempts(/*tell=*/true);
  });
  auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return busy_ == 0; };
  {
    absl::MutexLock lock(&mutex_);
    loop_->AwaitWithTimeout(mutex_, absl::Condition(&idle), options_.drain_grace);
  }
  loop_->Post([this] {
    for (const std::string& id : active_) deps_.pool.Kill({jobs::JobName(id), jobs_.at(id).attempt()});
  });
  {
    absl::MutexLock lock(&mutex_);
    loop_->AwaitWithTimeout(mutex_, absl::Condition(&idle), kKillGrace);
  }
  absl::Status status = deps_.events.Flush();
  if (!status.ok()) Log(LogLevel::kError, "the last events could not be stored", {{"error", status.ToString()}});
}

void JobScheduler::OnAttemptMessage(const workers::AttemptId& attempt, worker::v1::ConnectRequest message) {
  loop_->Post([this, attempt, message = std::move(message)]() mutable { HandleMessage(attempt, std::move(message)); });
}

void JobScheduler::OnAttemptEnded(const workers::AttemptId& attempt, workers::AttemptEnd end) {
  loop_->Post([this, attempt, end = std::move(end)]() mutable {
    LiveJob* live = FindAttempt(attempt);
    if (live == nullptr) return;
    live->ending = true;
    // Once round through the I/O thread: checkpoints that were written before are registered first.
    DoFileWork([] { return true; }, [this, attempt, end = std::move(end)](bool) { HandleEnd(attempt, end); });
  });
}

void JobScheduler::OnWorkersChanged() {
  loop_->Post([this] { placement_due_ = true; });
}

JobScheduler::LiveJob* JobScheduler::Find(const std::string& id) {
  auto found = jobs_.find(id);
  return found == jobs_.end() || found->second.deleting ? nullptr : &found->second;
}

bool JobScheduler::ChangeState(LiveJob& live, jobs::State to, const std::string& reason, v1::JobEvent::Level level) {
  jobs::State from = live.state();
  if (absl::Status status = jobs::CheckStateChange(from, to); !status.ok()) {
    Log(LogLevel::kError, "a change of state was refused", {{"job", live.job.resource.name()}, {"error", status.ToString()}});
    return false;
  }
  CountTime(live);
  live.since = deps_.clock.Now();
  v1::FineTuningJob& resource = live.job.resource;
  resource.set_state(to);
  resource.set_state_reason(reason);
  if (to == v1::FineTuningJob::STATE_PREPARING && !resource.has_start_time()) *resource.mutable_start_time() = jobs::ToTimestamp(deps_.clock.Now());
  if (jobs::IsFinal(to)) {
    *resource.mutable_end_time() = jobs::ToTimestamp(deps_.clock.Now());
    resource.mutable_progress()->set_eta_seconds(0);
    metrics_.Ended(resource);
  }
  if (to == v1::FineTuningJob::STATE_QUEUED) {
    queue_.emplace(live.job.order, live.job.id);
  } else {
    queue_.erase(live.job.order);
    resource.clear_retry_time();
  }
  if (jobs::HoldsSlot(to)) {
    active_.insert(live.job.id);
  } else {
    active_.erase(live.job.id);
  }
  placement_due_ = true;
  const TraceScope trace(TraceOf(live));
  Log(LogLevel::kInfo, "job state changed",
      {{"job", resource.name()}, {"from", jobs::StateName(from)}, {"to", jobs::StateName(to)}, {"attempt", live.attempt()}, {"reason", reason}});
  Publish(live);  // first: who has seen the event finds the state
  Append(live, StateEvent(from, to, reason, live.attempt(), level), {jobs::PutJob{live.job}});
  if (jobs::IsFinal(to) && resource.effective_spec().has_warm_start()) ReleaseStart(live);
  absl::MutexLock lock(&mutex_);
  busy_ = active_.size();
  return true;
}

std::string JobScheduler::TraceOf(const LiveJob& live) { return CurrentTraceId().empty() ? live.job.resource.trace_id() : CurrentTraceId(); }

void JobScheduler::Append(const LiveJob& live, v1::JobEvent event, std::vector<jobs::JobChange> changes) {
  if (!event.has_metrics() && !event.has_log_line()) event.set_trace_id(TraceOf(live));
  deps_.events.Append(live.job.id, std::move(event), {.changes = std::move(changes)});
}

void JobScheduler::Publish(const LiveJob& live) {
  snapshots_.PutJob(live.job, live.state() == v1::FineTuningJob::STATE_RUNNING ? live.training_since : live.since);
}

std::string JobScheduler::OutputDirectory(const std::string& job_id) const { return StrCat(options_.data_directory, "/jobs/", job_id); }

std::string JobScheduler::DirectoryOf(const jobs::CheckpointRecord& checkpoint) const {
  return StrCat(OutputDirectory(checkpoint.job_id), "/checkpoints/", checkpoint.directory);
}

}  // namespace attune::scheduler
