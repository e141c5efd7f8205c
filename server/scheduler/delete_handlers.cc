// Delete, of jobs and of single checkpoints: files first, rows second.
#include <utility>

#include "server/base/str_cat.h"
#include "server/jobs/job_fields.h"
#include "server/scheduler/checkpoint_files.h"
#include "server/scheduler/job_scheduler.h"

namespace attune::scheduler {
namespace {

absl::Status Held() { return absl::UnavailableError("nothing can be deleted while a backup is being begun; try again in a moment"); }

}  // namespace

void JobScheduler::HandleDelete(const std::string& id, StatusCallback done) {
  if (holds_ > 0) return done(Held());
  LiveJob* live = Find(id);
  if (live == nullptr) return done(jobs::NoSuchJob(id));
  if (!jobs::IsFinal(live->state())) {
    return done(absl::FailedPreconditionError(StrCat(live->job.resource.name(), " is ", jobs::StateName(live->state()), "; cancel it first, then delete it")));
  }
  for (const auto& [step, checkpoint] : live->checkpoints) {
    const std::string user = NeededBy(checkpoint.resource.name());
    if (user.empty()) continue;
    return done(absl::FailedPreconditionError(
        StrCat(live->job.resource.name(), " cannot be deleted: its checkpoint at step ", step, " is what ", user, " begins with; wait for that job's end, or cancel it")));
  }
  live->deleting = true;
  snapshots_.Remove(id);
  // The end of the job first: a server that was killed in between must not find one that trains, and has no files.
  WhenDurable([this, id, done = std::move(done)](const absl::Status& ended) {
    if (!ended.ok()) return FinishDelete(id, ended, done);
    DoFileWork([&files = deps_.files, directory = OutputDirectory(id)] { return files.RemoveRecursively(directory); },
               [this, id, done](const absl::Status& removed) { FinishDelete(id, removed, done); });
  });
}

void JobScheduler::FinishDelete(const std::string& id, const absl::Status& removed, StatusCallback done) {
  auto give_up = [this, id](const absl::Status& status) {
    // The job is still there and can be deleted again.
    LiveJob& live = jobs_.at(id);
    live.deleting = false;
    Publish(live);
    snapshots_.PutCheckpoints(id, live.checkpoints);
    return absl::Status(status.code(), StrCat("the job could not be deleted: ", std::string(status.message()), "; try again"));
  };
  if (!removed.ok()) return done(give_up(removed));
  jobs_.at(id).checkpoints.clear();  // their files are gone, whatever happens to the rows
  auto durable = [this, loop = loop_, id, give_up, done = std::move(done)](absl::Status status) {
    loop->Post([this, id, give_up, done, status] {
      if (!status.ok()) return done(give_up(status));
      auto found = jobs_.find(id);
      requests_.erase(found->second.job.request_id);
      jobs_.erase(found);
      done(absl::OkStatus());
    });
  };
  deps_.events.Commit({.changes = {jobs::RemoveJob{id}}, .done = std::move(durable), .fail_fast = true});
}

void JobScheduler::HandleDeleteCheckpoint(const std::string& id, int64_t step, StatusCallback done) {
  if (holds_ > 0) return done(Held());
  LiveJob* live = Find(id);
  if (live == nullptr) return done(jobs::NoSuchJob(id));
  auto found = live->checkpoints.find(step);
  if (found == live->checkpoints.end()) return done(absl::NotFoundError(StrCat(jobs::CheckpointName(id, step), " does not exist")));
  if (found->second.resource.pinned()) {
    return done(absl::FailedPreconditionError(StrCat(found->second.resource.name(), " is pinned; unpin it first, then delete it")));
  }
  if (const std::string user = NeededBy(found->second.resource.name()); !user.empty()) {
    return done(absl::FailedPreconditionError(StrCat(found->second.resource.name(), " is what ", user, " begins with; wait for that job's end, or cancel it")));
  }
  if (!jobs::IsFinal(live->state())) {
    bool last = step == live->checkpoints.rbegin()->first;
    if (last || found->second.resource.name() == live->job.resource.best_checkpoint()) {
      return done(absl::FailedPreconditionError(StrCat(found->second.resource.name(), " is the ", last ? "last" : "best", " checkpoint of a job that is ",
                                                       jobs::StateName(live->state()), " and needs it; wait for the end, or cancel the job")));
    }
  }
  jobs::CheckpointRecord record = found->second;
  live->checkpoints.erase(found);
  snapshots_.PutCheckpoints(id, live->checkpoints);
  // The newer ones first: a crash in between must leave one that is known.
  WhenDurable([this, record, attempt = live->attempt(), done = std::move(done)](const absl::Status& durable) {
    if (!durable.ok()) return FinishDeleteCheckpoint(record, attempt, durable, done);
    DoFileWork([&files = deps_.files, directory = DirectoryOf(record)] { return RemoveCheckpointDirectory(files, directory); },
               [this, record, attempt, done](const absl::Status& removed) { FinishDeleteCheckpoint(record, attempt, removed, done); });
  });
}

void JobScheduler::FinishDeleteCheckpoint(const jobs::CheckpointRecord& record, int attempt, const absl::Status& removed, StatusCallback done) {
  LiveJob* live = Find(record.job_id);
  if (live == nullptr) return done(absl::OkStatus());  // the whole job went meanwhile
  if (!removed.ok()) {
    PutBack(record, attempt);
    return done(absl::Status(removed.code(), StrCat("the checkpoint could not be deleted: ", std::string(removed.message()), "; try again")));
  }
  if (live->job.resource.best_checkpoint() == record.resource.name()) ChooseBest(*live);
  Publish(*live);
  deps_.events.Commit({.changes = {jobs::RemoveCheckpoint{record.job_id, record.step}, jobs::PutJob{live->job}}, .done = std::move(done)});
}

}  // namespace attune::scheduler
