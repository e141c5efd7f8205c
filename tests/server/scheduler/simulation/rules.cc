#include "tests/server/scheduler/simulation/rules.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "server/base/files.h"
#include "tests/server/scheduler/simulation/trained.h"

namespace attune::simulation {
namespace {

using State = v1::FineTuningJob;

constexpr int64_t kLateStep = int64_t{1} << 40;
constexpr int kMaxLost = 3;  // SchedulerOptions' default

std::string IdOf(const std::string& name) { return name.substr(name.rfind('/') + 1); }

uint64_t Digest(const std::string& bytes) { return TrainedAtStart(bytes); }

bool Trains(jobs::State state) { return state == State::STATE_RUNNING || state == State::STATE_PAUSING || state == State::STATE_CANCELLING; }

// A retry's time has not come.
bool WaitsForRetry(const v1::FineTuningJob& job, absl::Time now) { return job.has_retry_time() && absl::FromUnixSeconds(job.retry_time().seconds() + 1) > now; }

}  // namespace

void Rules::OnServerStart() {
  std::map<std::string, jobs::Job> stored;
  jobs_.clear();
  std::vector<jobs::Job> rows = store_.LoadJobs().value();
  for (jobs::Job& job : rows) {
    Job& seen = jobs_[job.id];
    seen.resource = job.resource;
    seen.lost_attempts = job.lost_attempts;
    seen.trained = job.resource.run_seconds();
    stored.emplace(job.id, std::move(job));
  }
  const std::vector<jobs::CheckpointRecord> checkpoints = store_.LoadCheckpoints().value();
  for (const jobs::CheckpointRecord& checkpoint : checkpoints) jobs_[checkpoint.job_id].checkpoints.insert(checkpoint.step);
  CheckPromises(stored, checkpoints);
}

bool Rules::Damaged(const std::string& id) const {
  const auto found = damaged_.lower_bound({id, 0});
  return found != damaged_.end() && found->first == id;
}

void Rules::CheckPromises(const std::map<std::string, jobs::Job>& stored, const std::vector<jobs::CheckpointRecord>& checkpoints) {
  std::map<std::string, int64_t> newest;
  for (const jobs::CheckpointRecord& record : checkpoints) newest[record.job_id] = std::max(newest[record.job_id], record.step);
  for (auto& [id, told] : told_) {
    const auto found = stored.find(id);
    if (found == stored.end()) {
      if (told.created && !told.may_go) world_.Fail("job ", id, " was acknowledged and is not there");
      continue;
    }
    const v1::FineTuningJob& job = found->second.resource;
    if (told.deleted) world_.Fail("job ", id, " was deleted and is there");
    const bool ends = jobs::IsFinal(job.state()) || job.state() == State::STATE_CANCELLING;
    if (told.cancelled && !ends) world_.Fail("job ", id, " was cancelled and is ", jobs::StateName(job.state()));
    if (told.paused && !ends && job.state() != State::STATE_PAUSING && job.state() != State::STATE_PAUSED) {
      world_.Fail("job ", id, " was paused and is ", jobs::StateName(job.state()));
    }
    if (told.priority.has_value() && job.priority() != *told.priority) {
      world_.Fail("job ", id, " was given priority ", *told.priority, " and has ", job.priority());
    }
    if (store_.LastEvent(id)->sequence < told.last) world_.Fail("event ", told.last, " of job ", id, " was seen and is not there");
    if (newest[id] < told.newest_checkpoint && !told.checkpoints_may_go && !Damaged(id)) world_.Fail("checkpoint ", told.newest_checkpoint, " of job ", id, " was announced and is not there");
  }
}

void Rules::OnAppend(const std::string& job_id, const v1::JobEvent& event, const std::vector<jobs::JobChange>& changes) {
  world_.Trace("event of ", job_id, " in attempt ", event.attempt(), ": ", event.message());
  const bool creation = event.state_changed().from().empty() && event.has_state_changed();
  if (!creation && jobs_.count(job_id) == 0) return world_.Fail("an event of job ", job_id, ", which is not there: ", event.message());
  if (event.metrics().step() == kLateStep || event.log_line().text() == "late") {
    return world_.Fail("a message of a superseded attempt of ", job_id, " became an event: ", event.message());
  }
  if (creation) {
    const auto* put = changes.size() == 1 ? std::get_if<jobs::PutJob>(&changes.front()) : nullptr;
    if (put == nullptr || put->job.id != job_id) return world_.Fail("the creation of ", job_id, " does not write it");
    Job& job = jobs_[job_id];
    job.resource = put->job.resource;
    job.since = world_.Now();
    return;
  }
  if (event.has_state_changed()) {
    OnStateChange(job_id, jobs_.at(job_id), event.state_changed());
    const bool writes = std::any_of(changes.begin(), changes.end(), [&](const jobs::JobChange& change) {
      const auto* put = std::get_if<jobs::PutJob>(&change);
      return put != nullptr && put->job.id == job_id && jobs::StateName(put->job.resource.state()) == event.state_changed().to();
    });
    if (!writes) world_.Fail("a change of state of ", job_id, " is not written with its event");
  }
  OnChanges(changes);
  if (event.has_checkpoint_saved() && jobs_.at(job_id).checkpoints.count(event.checkpoint_saved().step()) == 0) {
    world_.Fail("checkpoint ", event.checkpoint_saved().step(), " of ", job_id, " is announced and not registered");
  }
}

void Rules::OnChanges(const std::vector<jobs::JobChange>& changes) {
  for (const jobs::JobChange& change : changes) {
    if (const auto* put = std::get_if<jobs::PutJob>(&change)) {
      OnJobPut(put->job);
    } else if (const auto* checkpoint = std::get_if<jobs::PutCheckpoint>(&change)) {
      Job& job = jobs_[checkpoint->checkpoint.job_id];
      job.reported.erase(checkpoint->checkpoint.step);
      if (!job.checkpoints.insert(checkpoint->checkpoint.step).second) {
        world_.Fail("checkpoint ", checkpoint->checkpoint.step, " of ", checkpoint->checkpoint.job_id, " is registered twice");
      }
    } else if (const auto* removal = std::get_if<jobs::RemoveCheckpoint>(&change)) {
      if (auto found = jobs_.find(removal->job_id); found != jobs_.end()) found->second.checkpoints.erase(removal->step);
    }
  }
}

void Rules::OnJobPut(const jobs::Job& put) {
  auto found = jobs_.find(put.id);
  if (found == jobs_.end()) return world_.Fail("job ", put.id, " is written and not there");
  Job& job = found->second;
  if (put.resource.progress().step() >= kLateStep) world_.Fail("progress of a superseded attempt of ", put.id, " was taken");
  if (put.lost_attempts > job.lost_attempts + 1 || put.lost_attempts > kMaxLost) {
    world_.Fail("job ", put.id, " has lost ", put.lost_attempts, " attempts after ", job.lost_attempts);
  }
  const double trained = job.trained + (Trains(job.state()) && job.since != absl::InfinitePast() ? absl::ToDoubleSeconds(world_.Now() - job.since) : 0);
  if (put.resource.run_seconds() > trained + 1e-3) {
    world_.Fail("job ", put.id, " has counted ", put.resource.run_seconds(), " s and trained for ", trained, " s");
  }
  job.lost_attempts = put.lost_attempts;
  const jobs::State state = job.state();
  job.resource = put.resource;
  if (put.resource.state() != state) world_.Fail("job ", put.id, " changes from ", jobs::StateName(state), " to ", jobs::StateName(put.resource.state()), " without an event");
}

void Rules::OnStateChange(const std::string& id, Job& job, const v1::StateChanged& change) {
  const jobs::State from = job.state(), to = jobs::StateFromName(change.to()).value_or(State::STATE_UNSPECIFIED);
  if (change.from() != jobs::StateName(from)) return world_.Fail("job ", id, " is ", jobs::StateName(from), " and leaves ", change.from());
  if (!jobs::CanChange(from, to)) return world_.Fail("job ", id, " changes from ", change.from(), " to ", change.to());
  if (job.open && !jobs::HoldsSlot(to)) world_.Fail("job ", id, " becomes ", change.to(), " while a worker has it");
  if (!job.reported.empty() && !jobs::HoldsSlot(to)) world_.Fail("job ", id, " becomes ", change.to(), ", and its checkpoint ", *job.reported.begin(), " was forgotten");
  if (to == State::STATE_RUNNING && !job.spoke) world_.Fail("job ", id, " runs, and its worker has not said so");
  if (from == State::STATE_PAUSED && to == State::STATE_QUEUED && job.resumes-- == 0) world_.Fail("job ", id, " was paused and goes on by itself");
  if (Trains(from) && job.since != absl::InfinitePast()) job.trained += absl::ToDoubleSeconds(world_.Now() - job.since);
  job.since = world_.Now();
  if (to == State::STATE_PREPARING) job.spoke = false;
  job.resource.set_state(to);
  const auto holding = std::count_if(jobs_.begin(), jobs_.end(), [](const auto& entry) { return jobs::HoldsSlot(entry.second.state()); });
  if (holding > scenario_.job_slots) world_.Fail(holding, " jobs hold one of ", scenario_.job_slots, " slots");
  if (to == State::STATE_PREPARING) CheckOrder(id, job);
}

// Where waiting does not raise priorities, nothing of a higher one is left waiting.
void Rules::CheckOrder(const std::string& id, const Job& started) {
  if (scenario_.aging_interval != absl::InfiniteDuration()) return;
  for (const auto& [other, job] : jobs_) {
    if (job.state() != State::STATE_QUEUED || job.resource.priority() <= started.resource.priority() || WaitsForRetry(job.resource, world_.Now())) continue;
    // One that is being created does not wait yet.
    const absl::StatusOr<v1::FineTuningJob> seen = get_job("fineTuningJobs/" + other);
    if (seen.ok() && seen->state() == State::STATE_QUEUED) {
      world_.Fail("job ", id, " of priority ", started.resource.priority(), " starts before ", other, " of priority ", job.resource.priority());
    }
  }
}

void Rules::OnAssign(const worker::v1::Assign& assignment) {
  const std::string id = IdOf(assignment.fence().job());
  auto found = jobs_.find(id);
  if (found == jobs_.end()) return world_.Fail("job ", id, " gets a worker and is not there");
  Job& job = found->second;
  if (job.open) world_.Fail("job ", id, " gets a second worker");
  if (job.state() != State::STATE_PREPARING) world_.Fail("job ", id, " gets a worker and is ", jobs::StateName(job.state()));
  if (assignment.fence().attempt() <= job.assigned) world_.Fail("attempt ", assignment.fence().attempt(), " of ", id, " comes after attempt ", job.assigned);
  job.assigned = assignment.fence().attempt();
  job.open = true;
  job.reported.clear();
  const auto open = std::count_if(jobs_.begin(), jobs_.end(), [](const auto& entry) { return entry.second.open; });
  if (open > scenario_.job_slots) world_.Fail(open, " attempts run on ", scenario_.job_slots, " slots");
  if (scenario_.job_memory > 0 && open > 1) {
    int64_t memory = 0;
    for (const auto& [other, each] : jobs_) memory += each.open ? MemoryOf(each.resource.effective_spec()) : 0;
    if (memory > scenario_.job_memory) world_.Fail(open, " attempts take ", memory, " bytes of ", scenario_.job_memory, " with that of ", id);
  }
  const std::string newest = job.checkpoints.empty() ? "" : assignment.output_dir() + "/checkpoints/step-" + std::to_string(*job.checkpoints.rbegin());
  // One that a client wants deleted may be on its way out when those after it turn out to be damaged.
  const bool may_have_lost_it = CheckpointsMayGo(id) && Damaged(id);
  if (assignment.resume_dir() != newest && !may_have_lost_it) world_.Fail("job ", id, " goes on from \"", assignment.resume_dir(), "\" and could from \"", newest, "\"");
}

void Rules::OnDelivered(const worker::v1::ConnectRequest& message) {
  Job& job = jobs_[IdOf(message.fence().job())];
  if (message.has_started()) job.spoke = true;
  if (message.has_checkpoint_written()) job.reported.insert(message.checkpoint_written().step());
}

void Rules::OnEndDelivered(const workers::AttemptId& attempt) {
  Job& job = jobs_[IdOf(attempt.job)];
  job.open = false;
  job.spoke = true;
}

void Rules::MarkLate(worker::v1::ConnectRequest& message) {
  if (message.has_progress()) message.mutable_progress()->set_step(kLateStep);
  if (message.has_metrics()) message.mutable_metrics()->set_step(kLateStep);
  if (message.has_log_line()) message.mutable_log_line()->set_text("late");
}

int Rules::OnArrival(Verb verb, const std::string& name) {
  const std::string id = IdOf(name);
  Told& told = told_[id];
  // What was promised before may be changed by this from now on.
  if (verb == Verb::kResume || verb == Verb::kCancel) told.paused = false;
  if (verb == Verb::kUpdate) told.priority.reset();
  if (verb == Verb::kDelete) told.may_go = true;
  if (verb == Verb::kDeleteCheckpoint) told.checkpoints_may_go = true;
  if (auto found = jobs_.find(id); found != jobs_.end() && verb == Verb::kResume) ++found->second.resumes;
  return ++told.arrivals;
}

void Rules::OnCreated(const std::string& request_id, const std::string& name) {
  told_[IdOf(name)].created = true;
  if (request_id.empty()) return;
  const auto [found, first] = requests_.emplace(request_id, name);
  if (!first && found->second != name) world_.Fail("request ", request_id, " made ", found->second, " and ", name);
}

void Rules::OnAnswer(Verb verb, const std::string& name, int priority, int arrival) {
  Told& told = told_[IdOf(name)];
  if (verb == Verb::kCancel) told.cancelled = true;
  if (verb == Verb::kPause && arrival == told.arrivals) told.paused = true;
  if (verb == Verb::kUpdate && arrival == told.arrivals) told.priority = priority;
  if (verb != Verb::kDelete) return;
  told.deleted = true;
  if (get_job(name).ok()) world_.Fail(name, " was deleted and is there");
}

void Rules::OnRefusal(const std::string& name, const absl::Status& status) {
  const Told& told = told_[IdOf(name)];
  if (absl::IsNotFound(status) && told.created && !told.may_go) world_.Fail(name, " was acknowledged, and an answer is: ", status.ToString());
  if (absl::IsInvalidArgument(status)) world_.Fail("a request about ", name, " is refused: ", status.ToString());
}

void Rules::OnEvent(const std::string& job_id, const jobs::EventSubscription::Item& item) {
  Told& told = told_[job_id];
  v1::WatchFineTuningJobResponse response;
  if (!response.ParseFromString(*item.event.bytes)) return world_.Fail("an event of ", job_id, " cannot be read");
  const v1::JobEvent& event = response.event();
  if (event.sequence() != item.event.sequence || event.sequence() != told.last + 1 || item.dropped != 0) {
    return world_.Fail("a watcher of ", job_id, " got event ", event.sequence(), " after ", told.last, ", ", item.dropped, " dropped");
  }
  if (told.terminal) return world_.Fail("a watcher of ", job_id, " got event ", event.sequence(), " after the last one");
  told.last = event.sequence();
  told.events[event.sequence()] = Digest(event.SerializeAsString());
  if (event.has_checkpoint_saved()) told.newest_checkpoint = event.checkpoint_saved().step();
  if (!event.has_state_changed()) return;
  if (event.state_changed().from() != told.state) world_.Fail("a watcher of ", job_id, " saw ", told.state, " and then a change from ", event.state_changed().from());
  told.state = event.state_changed().to();
  told.terminal = event.state_changed().terminal();
  // Who has seen the event finds the state.
  const absl::StatusOr<v1::FineTuningJob> job = get_job("fineTuningJobs/" + job_id);
  if (told.terminal && job.ok() && jobs::StateName(job->state()) != told.state) {
    world_.Fail("a watcher of ", job_id, " saw ", told.state, ", and the job is ", jobs::StateName(job->state()));
  }
}

void Rules::OnWatchedJobGone(const std::string& job_id) {
  if (!told_[job_id].may_go) world_.Fail("job ", job_id, " was watched and is not there any more");
}

int64_t Rules::NewestCheckpoint(const std::string& job_id) const {
  const auto found = jobs_.find(job_id);
  return found == jobs_.end() || found->second.checkpoints.empty() ? 0 : *found->second.checkpoints.rbegin();
}

void Rules::CheckStored(const std::function<std::string(const std::string&)>& outputs) {
  std::map<std::string, jobs::Job> stored;
  std::map<std::string, std::string> requests;
  std::vector<jobs::Job> rows = store_.LoadJobs().value();
  for (jobs::Job& job : rows) {
    if (!job.request_id.empty() && !requests.emplace(job.request_id, job.id).second) world_.Fail("request ", job.request_id, " made two jobs");
    stored.emplace(job.id, std::move(job));
  }
  const std::vector<jobs::CheckpointRecord> records = store_.LoadCheckpoints().value();
  CheckPromises(stored, records);
  std::map<std::string, std::set<int64_t>> checkpoints;
  for (const jobs::CheckpointRecord& record : records) {
    checkpoints[record.job_id].insert(record.step);
    // Files go before rows: a deletion that was cut off, and not acknowledged, leaves rows that it will find again.
    if (damaged_.count({record.job_id, record.step}) != 0 || told_[record.job_id].may_go) continue;
    const absl::StatusOr<Trained> trained = ReadTrained(outputs(record.job_id) + "/" + record.directory);
    if (!trained.ok()) {
      world_.Fail("checkpoint ", record.step, " of ", record.job_id, " is registered and not whole: ", trained.status().ToString());
    } else if (trained->step != record.step || trained->value != TrainedAfter(jobs::JobName(record.job_id), record.step)) {
      world_.Fail("checkpoint ", record.step, " of ", record.job_id, " holds something else");
    }
  }
  for (const auto& [id, job] : stored) {
    CheckEvents(id, job.resource.state());
    if (job.resource.state() != State::STATE_SUCCEEDED || told_[id].checkpoints_may_go || told_[id].may_go || Damaged(id)) continue;
    const std::string& best = job.resource.best_checkpoint();
    if (best.empty() || checkpoints[id].count(std::stoll(best.substr(best.rfind('/') + 1))) == 0) world_.Fail("job ", id, " has succeeded, and its best checkpoint \"", best, "\" is not there");
    if (*checkpoints[id].rbegin() != StepsOf(job.resource.name())) world_.Fail("job ", id, " has succeeded at step ", *checkpoints[id].rbegin());
  }
}

void Rules::CheckEvents(const std::string& id, jobs::State state) {
  const Told& told = told_[id];
  std::string now;
  std::set<int64_t> saved;
  int64_t sequence = 0;
  int terminal = 0, attempt = 0;
  const std::vector<jobs::StoredEvent> rows = store_.ReadEvents(id, {.limit = 1'000'000}).value();
  for (const jobs::StoredEvent& row : rows) {
    v1::JobEvent event;
    if (!event.ParseFromString(row.bytes)) return world_.Fail("event ", row.sequence, " of ", id, " cannot be read");
    if (row.sequence != ++sequence) return world_.Fail("event ", sequence, " of ", id, " is missing");
    if (terminal > 0) world_.Fail("event ", sequence, " of ", id, " comes after its end");
    if (const auto seen = told.events.find(sequence); seen != told.events.end() && seen->second != Digest(row.bytes)) {
      world_.Fail("event ", sequence, " of ", id, " is not the one that was seen");
    }
    // The number of an attempt that no worker got is used again.
    if (event.attempt() < attempt - 1) world_.Fail("event ", sequence, " of ", id, " is of attempt ", event.attempt(), " after ", attempt);
    attempt = std::max(attempt, event.attempt());
    if (event.has_checkpoint_saved() && !saved.insert(event.checkpoint_saved().step()).second && !Damaged(id)) {
      world_.Fail("checkpoint ", event.checkpoint_saved().step(), " of ", id, " is announced twice");
    }
    if (!event.has_state_changed()) continue;
    if (event.state_changed().from() != now) world_.Fail("event ", sequence, " of ", id, " leaves ", event.state_changed().from(), " and the job was ", now);
    now = event.state_changed().to();
    terminal += event.state_changed().terminal();
  }
  if (now != jobs::StateName(state)) world_.Fail("job ", id, " is ", jobs::StateName(state), ", and its events end with ", now);
  if (terminal != static_cast<int>(jobs::IsFinal(state))) world_.Fail("job ", id, " is ", now, " and has ", terminal, " last events");
}

}  // namespace attune::simulation
