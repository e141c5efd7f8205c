// Checkpoints: registered once their files are checked, and removed when newer ones make them expendable.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/base/log.h"
#include "server/base/str_cat.h"
#include "server/jobs/job_fields.h"
#include "server/jobs/timestamps.h"
#include "server/scheduler/checkpoint_files.h"
#include "server/scheduler/job_scheduler.h"
#include "server/scheduler/policy/retention.h"

namespace attune::scheduler {

void JobScheduler::HandleCheckpointWritten(LiveJob& live, const worker::v1::CheckpointWritten& written) {
  workers::AttemptId attempt{live.job.resource.name(), live.attempt()};
  if (written.directory() != CheckpointDirectoryName(written.step())) {
    Append(live, WarningEvent(StrCat("the checkpoint at step ", written.step(), " was not taken: its directory must not be called \"", written.directory(), "\""),
                              live.attempt()));
    return;
  }
  std::string directory = StrCat(OutputDirectory(live.job.id), "/checkpoints/", written.directory());
  DoFileWork([directory] { return ReadCheckpoint(directory); },
             [this, attempt, written](const absl::StatusOr<v1::Checkpoint>& read) { RegisterCheckpoint(attempt, written, read); });
}

void JobScheduler::RegisterCheckpoint(const workers::AttemptId& attempt, const worker::v1::CheckpointWritten& written,
                                      const absl::StatusOr<v1::Checkpoint>& read) {
  LiveJob* live = FindAttempt(attempt);
  if (live == nullptr) return;
  absl::Status status = read.status();
  if (status.ok() && read->step() != written.step()) status = absl::DataLossError(StrCat("its manifest is that of step ", read->step()));
  if (!status.ok()) {
    Append(*live, WarningEvent(StrCat("the checkpoint at step ", written.step(), " cannot be used: ", std::string(status.message())), live->attempt()));
    return;
  }
  jobs::CheckpointRecord record{live->job.id, written.step(), written.directory(), *read};
  record.resource.set_name(jobs::CheckpointName(live->job.id, written.step()));
  *record.resource.mutable_metrics() = written.metrics();
  *record.resource.mutable_create_time() = jobs::ToTimestamp(deps_.clock.Now());
  // An attempt that repeats steps writes their checkpoints again.
  if (auto again = live->checkpoints.find(record.step); again != live->checkpoints.end()) record.resource.set_pinned(again->second.resource.pinned());
  bool progress = live->checkpoints.empty() || written.step() > live->checkpoints.rbegin()->first;
  if (progress) live->job.lost_attempts = 0;
  if (written.is_best() || !live->job.best_is_measured) live->job.resource.set_best_checkpoint(record.resource.name());
  live->job.best_is_measured = live->job.best_is_measured || written.is_best();
  live->checkpoints[record.step] = record;
  CountTime(*live);
  Publish(*live);
  snapshots_.PutCheckpoints(live->job.id, live->checkpoints);
  live->unstored.insert(record.step);
  metrics_.CheckpointSaved(written.seconds(), record.resource.size_bytes());
  auto durable = [this, loop = loop_, id = live->job.id, step = record.step](absl::Status stored) {
    if (!stored.ok()) return;
    loop->Post([this, id, step] {
      LiveJob* job = Find(id);
      if (job == nullptr) return;
      job->unstored.erase(job->unstored.find(step));
      ApplyRetention(*job);
    });
  };
  v1::JobEvent event = CheckpointEvent(record.resource.name(), record.step, written.is_best(), live->attempt());
  deps_.events.Append(live->job.id, std::move(event), {.changes = {jobs::PutCheckpoint{record}, jobs::PutJob{live->job}}, .done = std::move(durable)});
}

void JobScheduler::ApplyRetention(LiveJob& live) {
  // Older ones go only when the newest one is durable: a crash in between must leave one that is known.
  if (holds_ > 0 || live.checkpoints.empty() || live.unstored.count(live.checkpoints.rbegin()->first) > 0) return;
  std::vector<int64_t> steps;
  std::set<int64_t> held;
  for (const auto& [step, checkpoint] : live.checkpoints) {
    steps.push_back(step);
    const std::string& name = checkpoint.resource.name();
    if (checkpoint.resource.pinned() || name == live.job.resource.best_checkpoint() || !NeededBy(name).empty()) held.insert(step);
  }
  if (const jobs::CheckpointRecord* last = LastResumable(live)) held.insert(last->step);
  std::vector<int64_t> expendable = Expendable(steps, held, live.job.resource.effective_spec().checkpointing().keep_last());
  if (expendable.empty()) return;
  for (int64_t step : expendable) {
    jobs::CheckpointRecord record = live.checkpoints.at(step);
    live.checkpoints.erase(step);
    DoFileWork([&files = deps_.files, directory = DirectoryOf(record)] { return RemoveCheckpointDirectory(files, directory); },
               [this, record, attempt = live.attempt()](const absl::Status& removed) {
                 if (removed.ok()) {
                   deps_.events.Commit({.changes = {jobs::RemoveCheckpoint{record.job_id, record.step}}});
                   return;
                 }
                 Log(LogLevel::kWarning, "an old checkpoint could not be removed", {{"checkpoint", record.resource.name()}, {"error", removed.ToString()}});
                 PutBack(record, attempt);  // the next checkpoint tries again
               });
  }
  snapshots_.PutCheckpoints(live.job.id, live.checkpoints);
}

void JobScheduler::HandleUpdateCheckpoint(const std::string& id, int64_t step, bool pinned, CheckpointCallback done) {
  LiveJob* live = Find(id);
  if (live == nullptr) return done(jobs::NoSuchJob(id));
  auto found = live->checkpoints.find(step);
  if (found == live->checkpoints.end()) return done(absl::NotFoundError(StrCat(jobs::CheckpointName(id, step), " does not exist")));
  jobs::CheckpointRecord& record = found->second;
  std::vector<jobs::JobChange> changes;
  const bool was_pinned = record.resource.pinned();
  if (was_pinned != pinned) {
    record.resource.set_pinned(pinned);
    snapshots_.PutCheckpoints(id, live->checkpoints);
    changes.push_back(jobs::PutCheckpoint{record});
  }
  auto durable = [this, loop = loop_, id, step, was_pinned, name = record.resource.name(), done = std::move(done)](absl::Status status) {
    loop->Post([this, id, step, was_pinned, name, done, status] {
      LiveJob* job = Find(id);
      if (!status.ok() && job != nullptr && job->checkpoints.count(step) != 0) {
        job->checkpoints.at(step).resource.set_pinned(was_pinned);
        snapshots_.PutCheckpoints(id, job->checkpoints);
      }
      if (!status.ok()) return done(status);
      const absl::StatusOr<ResolvedCheckpoint> checkpoint = snapshots_.GetCheckpoint(name);
      if (!checkpoint.ok()) return done(checkpoint.status());
      done(ToResource(*checkpoint));
      if (job != nullptr) ApplyRetention(*job);  // it may be one too many now
    });
  };
  deps_.events.Commit({.changes = std::move(changes), .done = std::move(durable), .fail_fast = true});
}

void JobScheduler::ReleaseStart(const LiveJob& live) {
  constexpr std::string_view kPrefix = "fineTuningJobs/";
  const std::string& start = live.job.resource.effective_spec().warm_start().checkpoint();
  // Not before the end is durable: a server that finds the job running again needs the checkpoint.
  auto durable = [this, loop = loop_, id = start.substr(kPrefix.size(), start.find('/', kPrefix.size()) - kPrefix.size())](absl::Status status) {
    if (!status.ok()) return;
    loop->Post([this, id] {
      if (LiveJob* source = Find(id)) ApplyRetention(*source);
    });
  };
  deps_.events.Commit({.done = std::move(durable)});
}

std::string JobScheduler::NeededBy(const std::string& checkpoint) const {
  if (created_from_.count(checkpoint) != 0) return "a job that is being created";
  for (const auto& [id, live] : jobs_) {
    if (live.job.resource.effective_spec().warm_start().checkpoint() == checkpoint && !jobs::IsFinal(live.state())) return live.job.resource.name();
  }
  return "";
}

void JobScheduler::PutBack(const jobs::CheckpointRecord& record, int attempt) {
  LiveJob* live = Find(record.job_id);
  if (live == nullptr) return;
  // The preparation of an attempt that began meanwhile takes away what it does not find registered.
  if (live->starting || live->attempt() != attempt) return deps_.events.Commit({.changes = {jobs::RemoveCheckpoint{record.job_id, record.step}}});
  live->checkpoints[record.step] = record;
  snapshots_.PutCheckpoints(record.job_id, live->checkpoints);
}

void JobScheduler::ChooseBest(LiveJob& live) {
  // Figures of evaluations are kept with checkpoints; where the best one is gone the next best takes its place.
  const std::string& metric = live.job.resource.effective_spec().evaluation().metric_for_best_model();
  bool smaller_is_better = metric == "loss" || metric == "mse";
  const jobs::CheckpointRecord* best = nullptr;
  double best_value = 0;
  for (const auto& [step, checkpoint] : live.checkpoints) {
    auto found = checkpoint.resource.metrics().find(metric);
    if (found == checkpoint.resource.metrics().end()) continue;
    bool better = best == nullptr || (smaller_is_better ? found->second < best_value : found->second > best_value);
    if (!better) continue;
    best = &checkpoint;
    best_value = found->second;
  }
  live.job.best_is_measured = best != nullptr;
  if (best == nullptr && !live.checkpoints.empty()) best = &live.checkpoints.rbegin()->second;
  live.job.resource.set_best_checkpoint(best == nullptr ? "" : best->resource.name());
}

const jobs::CheckpointRecord* JobScheduler::LastResumable(const LiveJob& live) const {
  for (auto it = live.checkpoints.rbegin(); it != live.checkpoints.rend(); ++it) {
    if (it->second.resource.resumable()) return &it->second;
  }
  return nullptr;
}

}  // namespace attune::scheduler
