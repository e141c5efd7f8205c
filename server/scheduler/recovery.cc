// What a stopped or killed server left behind: jobs that held a worker wait again, and what is on disk is made to agree with what is registered.
#include <utility>

#include "server/base/ids.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/jobs/timestamps.h"
#include "server/scheduler/checkpoint_files.h"
#include "server/scheduler/job_scheduler.h"

namespace attune::scheduler {
namespace {

using State = v1::FineTuningJob;

}  // namespace

absl::Status JobScheduler::Recover() {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<jobs::Job> stored, deps_.store.LoadJobs());
  ATTUNE_ASSIGN_OR_RETURN(std::vector<jobs::CheckpointRecord> checkpoints, deps_.store.LoadCheckpoints());
  for (jobs::Job& job : stored) {
    next_order_ = std::max(next_order_, job.order + 1);
    if (!job.request_id.empty()) requests_[job.request_id] = {job.request_digest, job.id};
    jobs_[job.id].job = std::move(job);
  }
  for (jobs::CheckpointRecord& checkpoint : checkpoints) {
    auto found = jobs_.find(checkpoint.job_id);
    if (found != jobs_.end()) found->second.checkpoints[checkpoint.step] = std::move(checkpoint);
  }
  for (auto& [id, live] : jobs_) RecoverJob(live);
  RemoveOrphanedOutputs();
  // What the first attempts go on from is read while workers start: checkpoints are written past the page cache.
  int first = options_.job_slots;
  for (auto next = queue_.begin(); next != queue_.end() && first > 0; ++next, --first) {
    const jobs::CheckpointRecord* last = LastResumable(jobs_.at(next->second));
    if (last != nullptr) io_->Post([directory = DirectoryOf(*last)] { ReadAhead(directory); });
  }
  return deps_.events.Flush();
}

void JobScheduler::RecoverJob(LiveJob& live) {
  live.furthest_step = live.job.resource.progress().step();
  DropBrokenCheckpoints(live);
  // One that has run before may have waited for a shorter time than since its creation.
  if (live.state() == State::STATE_QUEUED) live.since = live.attempt() == 0 ? jobs::FromTimestamp(live.job.resource.create_time()) : deps_.clock.Now();
  Publish(live);
  snapshots_.PutCheckpoints(live.job.id, live.checkpoints);
  switch (live.state()) {
    case State::STATE_QUEUED:
      queue_.emplace(live.job.order, live.job.id);
      break;
    case State::STATE_PREPARING:
    case State::STATE_RUNNING:
      Requeue(live, "the server stopped", v1::JobEvent::LEVEL_WARNING);
      break;
    case State::STATE_PAUSING:
      ChangeState(live, State::STATE_PAUSED, StrCat("paused on request; the server stopped meanwhile; ", GoesOnFrom(live)));
      break;
    case State::STATE_CANCELLING:
      ChangeState(live, State::STATE_CANCELLED, "cancelled on request; the server stopped meanwhile");
      break;
    default:
      break;
  }
}

void JobScheduler::DropBrokenCheckpoints(LiveJob& live) {
  std::vector<jobs::JobChange> changes;
  for (auto it = live.checkpoints.begin(); it != live.checkpoints.end();) {
    // A removal takes the directory away first and the row second, and may have been cut off between. But where the place of all checkpoints is gone too, a
    // disk is more likely not mounted: nothing is forgotten for that.
    std::string directory = DirectoryOf(it->second);
    bool removed = !FileExists(directory) && FileExists(StrCat(OutputDirectory(live.job.id), "/checkpoints"));
    absl::Status status = ReadCheckpoint(directory).status();
    if (status.ok() || (!removed && jobs::IsFinal(live.state()))) {
      ++it;
      continue;
    }
    Log(LogLevel::kWarning, "a checkpoint cannot be used any more", {{"checkpoint", it->second.resource.name()}, {"error", status.ToString()}});
    if (!removed) metrics_.CheckpointDamaged();
    changes.push_back(jobs::RemoveCheckpoint{live.job.id, it->first});
    it = live.checkpoints.erase(it);
  }
  if (changes.empty()) return;
  bool best_is_gone = true;
  for (const auto& [step, checkpoint] : live.checkpoints) best_is_gone = best_is_gone && checkpoint.resource.name() != live.job.resource.best_checkpoint();
  if (best_is_gone) ChooseBest(live);
  changes.push_back(jobs::PutJob{live.job});
  deps_.events.Commit({.changes = std::move(changes)});
}

void JobScheduler::RemoveOrphanedOutputs() {
  std::string root = StrCat(options_.data_directory, "/jobs");
  absl::StatusOr<std::vector<std::string>> names = ListDirectory(root);
  if (!names.ok()) return;  // no job has run here yet
  for (const std::string& name : *names) {
    if (auto found = jobs_.find(name); found != jobs_.end()) {
      if (jobs::IsFinal(found->second.state())) RemoveRubbish(deps_.files, StrCat(root, "/", name));
      continue;
    }
    if (!CheckResourceId(name, "job").ok()) continue;
    Log(LogLevel::kInfo, "the output of a deleted job is removed", {{"path", StrCat(root, "/", name)}});
    absl::Status status = deps_.files.RemoveRecursively(StrCat(root, "/", name));
    if (!status.ok()) Log(LogLevel::kWarning, "it could not be removed", {{"error", status.ToString()}});
  }
}

}  // namespace attune::scheduler
