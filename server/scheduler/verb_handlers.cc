// Cancel, pause, resume and update.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/jobs/job_fields.h"
#include "server/scheduler/job_scheduler.h"

namespace attune::scheduler {
namespace {

using State = v1::FineTuningJob;

absl::Status HasEnded(const v1::FineTuningJob& job, const char* what) {
  return absl::FailedPreconditionError(StrCat(job.name(), " has ended (", jobs::StateName(job.state()), ") and cannot be ", what));
}

}  // namespace

void JobScheduler::HandleCancel(const std::string& id, JobCallback done) {
  LiveJob* live = Find(id);
  if (live == nullptr) return done(jobs::NoSuchJob(id));
  switch (live->state()) {
    case State::STATE_CANCELLED:
    case State::STATE_CANCELLING:
      break;
    case State::STATE_QUEUED:
      ChangeState(*live, State::STATE_CANCELLED, "cancelled on request before it started");
      break;
    case State::STATE_PAUSED:
      ChangeState(*live, State::STATE_CANCELLED, "cancelled on request while it was paused");
      break;
    case State::STATE_PREPARING:
    case State::STATE_RUNNING:
    case State::STATE_PAUSING:
      ChangeState(*live, State::STATE_CANCELLING, "cancelled on request; stops after the step it is in");
      // While its directories are made ready there is no worker yet; AssignAttempt sees the state.
      if (live->attempt_open) deps_.pool.Cancel({live->job.resource.name(), live->attempt()});
      break;
    default:
      return done(absl::FailedPreconditionError(
          StrCat(live->job.resource.name(), " has ended (", jobs::StateName(live->state()), ") and cannot be cancelled; it can be deleted")));
  }
  AnswerWhenDurable(*live, std::move(done));
}

void JobScheduler::AnswerWhenDurable(const LiveJob& live, JobCallback done) {
  WhenDurable([this, name = live.job.resource.name(), done = std::move(done)](const absl::Status& status) {
    done(status.ok() ? snapshots_.Get(name) : absl::StatusOr<v1::FineTuningJob>(status));
  });
}

void JobScheduler::WhenDurable(StatusCallback then) {
  auto durable = [loop = loop_, then = std::move(then)](const absl::Status& status) { loop->Post([then, status] { then(status); }); };
  deps_.events.Commit({.done = std::move(durable), .fail_fast = true});
}

void JobScheduler::HandlePause(const std::string& id, JobCallback done) {
  LiveJob* live = Find(id);
  if (live == nullptr) return done(jobs::NoSuchJob(id));
  switch (live->state()) {
    case State::STATE_PAUSED:
    case State::STATE_PAUSING:
      break;
    case State::STATE_QUEUED:
      ChangeState(*live, State::STATE_PAUSED, "paused on request before it started");
      break;
    case State::STATE_PREPARING:
    case State::STATE_RUNNING:
      ChangeState(*live, State::STATE_PAUSING, "paused on request; stops after the step it is in");
      // While its directories are made ready there is no worker yet; AssignAttempt sees the state.
      if (live->attempt_open) deps_.pool.Suspend({live->job.resource.name(), live->attempt()});
      break;
    case State::STATE_CANCELLING:
      return done(absl::FailedPreconditionError(StrCat(live->job.resource.name(), " is being cancelled and cannot be paused")));
    default:
      return done(HasEnded(live->job.resource, "paused"));
  }
  AnswerWhenDurable(*live, std::move(done));
}

void JobScheduler::HandleResume(const std::string& id, JobCallback done) {
  LiveJob* live = Find(id);
  if (live == nullptr) return done(jobs::NoSuchJob(id));
  switch (live->state()) {
    case State::STATE_QUEUED:
    case State::STATE_PREPARING:
    case State::STATE_RUNNING:
      break;
    case State::STATE_PAUSED:
      ChangeState(*live, State::STATE_QUEUED, StrCat("resumed on request; ", GoesOnFrom(*live)));
      break;
    case State::STATE_PAUSING:
    case State::STATE_CANCELLING:
      return done(absl::FailedPreconditionError(StrCat(live->job.resource.name(), " is ", jobs::StateName(live->state()),
                                                       live->state() == State::STATE_PAUSING ? "; resume it when it is PAUSED" : " and cannot be resumed")));
    default:
      return done(HasEnded(live->job.resource, "resumed"));
  }
  AnswerWhenDurable(*live, std::move(done));
}

void JobScheduler::HandleUpdate(const v1::UpdateFineTuningJobRequest& request, JobCallback done) {
  const v1::FineTuningJob& changed = request.fine_tuning_job();
  const std::string id = changed.name().substr(changed.name().find('/') + 1);
  LiveJob* live = Find(id);
  if (live == nullptr) return done(jobs::NoSuchJob(id));
  if (absl::Status status = jobs::CheckUpdate(request); !status.ok()) return done(status);
  v1::FineTuningJob& job = live->job.resource;
  if (jobs::IsFinal(job.state())) return done(HasEnded(job, "changed"));
  std::vector<std::string> changes;
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "display_name") {
      job.set_display_name(changed.display_name());
      changes.push_back(StrCat("display name \"", job.display_name(), "\""));
    } else if (path == "labels") {
      *job.mutable_labels() = changed.labels();
      changes.push_back("labels");
    } else {
      changes.push_back(StrCat("priority ", changed.priority(), " (was ", job.priority(), ")"));
      job.set_priority(changed.priority());
      if (jobs::HoldsSlot(job.state())) live->start_priority = changed.priority();
    }
  }
  placement_due_ = true;
  Publish(*live);
  Append(*live, LogEvent(StrCat("changed on request: ", absl::StrJoin(changes, ", ")), live->attempt()), {jobs::PutJob{live->job}});
  AnswerWhenDurable(*live, std::move(done));
}

}  // namespace attune::scheduler
