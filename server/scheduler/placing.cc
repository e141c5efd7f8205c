// What runs where: placement, who gives way, and how long jobs have trained.
#include <algorithm>
#include <limits>
#include <utility>

#include "server/base/str_cat.h"
#include "server/jobs/timestamps.h"
#include "server/scheduler/job_scheduler.h"

namespace attune::scheduler {
namespace {

using State = v1::FineTuningJob;

// Predictions follow what running jobs say of their ends no more often than this.
constexpr absl::Duration kPredictionInterval = absl::Seconds(5);

bool IsLeaving(jobs::State state) { return state == State::STATE_PAUSING || state == State::STATE_CANCELLING; }

}  // namespace

void JobScheduler::PlaceJobs() {
  const absl::Time now = deps_.clock.Now();
  if (!queue_.empty() && now - predicted_at_ >= kPredictionInterval) placement_due_ = true;
  if (placement_due_ || now >= next_retry_) AdmitRetries(now);
  if (next_retry_ != absl::InfiniteFuture()) loop_->WakeAfter(next_retry_ - now);
  if (!std::exchange(placement_due_, false)) return;
  predicted_at_ = now;
  workers::PoolStatus pool = deps_.pool.Status();
  ClusterState state{.job_slots = options_.job_slots, .idle_workers = pool.idle, .trouble = pool.trouble, .draining = draining_};
  for (const std::string& id : active_) {
    LiveJob& live = jobs_.at(id);
    state.idle_workers -= live.starting;  // promised already
    CountTime(live);
  }
  state.now = now;
  state.aging_interval = options_.aging_interval;
  state.project_seconds = usage_.Seconds(now);
  state.devices = devices_;
  state.most_running_jobs = options_.most_running_jobs;
  const Placement placement = Place(QueuedJobs(), RunningJobs(), state);
  for (const Started& started : placement.start) {
    LiveJob& live = jobs_.at(started.id);
    live.start_priority = started.priority;
    live.device = started.device;
    StartAttempt(live);
  }
  for (const Preempted& preempted : placement.preempt) {
    metrics_.GaveWay();
    Suspend(jobs_.at(preempted.id), jobs::JobName(preempted.by), /*tell=*/true);
  }
  MeasureFirst(placement.measure);
  snapshots_.SetWaiting(placement.waiting, placement.reason, placement.blocking_resource);
  placement_due_ = false;  // what starting changed is in this placement already
}

void JobScheduler::AdmitRetries(absl::Time now) {
  next_retry_ = absl::InfiniteFuture();
  for (const auto& [order, id] : queue_) {
    LiveJob& live = jobs_.at(id);
    if (!live.job.resource.has_retry_time()) continue;
    const absl::Time at = jobs::FromTimestamp(live.job.resource.retry_time());
    if (at > now) {
      next_retry_ = std::min(next_retry_, at);
      continue;
    }
    live.job.resource.clear_retry_time();
    live.since = now;
    placement_due_ = true;
    Publish(live);
  }
}

std::vector<QueuedJob> JobScheduler::QueuedJobs() const {
  std::vector<QueuedJob> queued;
  queued.reserve(queue_.size());
  for (const auto& [order, id] : queue_) {
    const LiveJob& live = jobs_.at(id);
    if (live.job.resource.has_retry_time()) continue;
    const v1::FineTuningSpec& spec = live.job.resource.effective_spec();
    queued.push_back({id, order, live.job.resource.priority(), spec.scheduling().project(), live.since, spec.resources().device(), MemoryOf(live)});
  }
  return queued;
}

std::vector<RunningJob> JobScheduler::RunningJobs() const {
  std::vector<RunningJob> running;
  for (const std::string& id : active_) {
    const LiveJob& live = jobs_.at(id);
    RunningJob job{.id = id, .order = live.job.order, .priority = live.start_priority, .device = live.device, .memory_bytes = MemoryOf(live)};
    job.leaving = live.suspending || live.out_of_time || live.ending || IsLeaving(live.state());
    // While its directories are made ready no worker has it, and nobody could be asked to stop.
    if (!live.attempt_open && !job.leaving) job.priority = std::numeric_limits<int>::max();
    job.project = live.job.resource.effective_spec().scheduling().project();
    if (live.state() == State::STATE_RUNNING) job.trained = absl::Seconds(std::max(0.0, live.job.resource.run_seconds() - live.run_seconds_at_start));
    const double eta = live.job.resource.progress().eta_seconds();
    if (eta > 0) job.left = absl::Seconds(eta);
    running.push_back(std::move(job));
  }
  return running;
}

std::string JobScheduler::NameFor(const LiveJob& live, const std::string& name) const {
  const auto project = [](const v1::FineTuningJob& job) { return ProjectOrDefault(job.spec().scheduling().project()); };
  const auto other = jobs_.find(name.substr(name.find('/') + 1));
  return other == jobs_.end() || project(other->second.job.resource) != project(live.job.resource) ? "a job of another project" : name;
}

void JobScheduler::Suspend(LiveJob& live, const std::string& gives_way_to, bool tell) {
  live.suspending = true;
  live.gives_way_to = gives_way_to;
  if (tell) deps_.pool.Suspend({live.job.resource.name(), live.attempt()});
}

void JobScheduler::SuspendAttempts(bool tell) {
  for (const std::string& id : active_) {
    LiveJob& live = jobs_.at(id);
    if (!live.attempt_open || IsLeaving(live.state())) continue;
    Suspend(live, /*gives_way_to=*/"", tell);
  }
}

void JobScheduler::CountTime(LiveJob& live) {
  const bool trains = live.state() == State::STATE_RUNNING || IsLeaving(live.state());
  if (!trains || live.since == absl::InfinitePast()) return;
  const absl::Time now = deps_.clock.Now();
  const absl::Duration trained = std::max(absl::ZeroDuration(), now - live.since);
  live.since = now;
  live.job.resource.set_run_seconds(live.job.resource.run_seconds() + absl::ToDoubleSeconds(trained));
  usage_.Add(live.job.resource.effective_spec().scheduling().project(), trained, now);
}

void JobScheduler::CheckRunTime(LiveJob& live) {
  const int64_t limit = live.job.resource.effective_spec().scheduling().max_run_seconds();
  if (limit == 0 || live.out_of_time || live.state() != State::STATE_RUNNING || !live.attempt_open) return;
  CountTime(live);
  if (live.job.resource.run_seconds() < static_cast<double>(limit)) return;
  live.out_of_time = true;
  deps_.pool.Cancel({live.job.resource.name(), live.attempt()});
}

}  // namespace attune::scheduler
