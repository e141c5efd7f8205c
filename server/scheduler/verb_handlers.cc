// Cancel, pause, resume and update.
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
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

constexpr int64_t kNotYet = -1;  // Adjustment.after_step

bool IsLiveSetting(const std::string& path) { return path.rfind("live_settings.", 0) == 0; }

void SetLive(const std::string& path, const v1::LiveSettings& from, v1::LiveSettings& to) {
  if (path == jobs::kLearningRateScale) {
    from.has_learning_rate_scale() ? to.set_learning_rate_scale(from.learning_rate_scale()) : to.clear_learning_rate_scale();
  } else if (path == jobs::kEpochs) {
    from.has_n_epochs() ? to.set_n_epochs(from.n_epochs()) : to.clear_n_epochs();
  } else {
    from.has_early_stopping_patience() ? to.set_early_stopping_patience(from.early_stopping_patience()) : to.clear_early_stopping_patience();
  }
}

bool SameChange(const v1::Adjustment& a, const v1::Adjustment& b) {
  return a.batch_parts() == b.batch_parts() && google::protobuf::util::MessageDifferencer::Equals(a.live_settings(), b.live_settings());
}

// "learning rates x 0.5, 8 epochs in the last phase"
std::string Words(const v1::Adjustment& adjustment) {
  if (adjustment.has_batch_parts()) return StrCat("memory ran out; batches go through the model in ", adjustment.batch_parts(), " parts, whose gradients add up");
  const v1::LiveSettings& settings = adjustment.live_settings();
  std::vector<std::string> words;
  if (settings.has_learning_rate_scale()) words.push_back(StrCat("learning rates x ", settings.learning_rate_scale()));
  if (settings.has_n_epochs()) words.push_back(StrCat(settings.n_epochs(), " epochs in the last phase"));
  if (settings.has_early_stopping_patience()) words.push_back(StrCat("early stopping patience ", settings.early_stopping_patience()));
  return words.empty() ? "rates, epochs and patience as created" : absl::StrJoin(words, ", ");
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

absl::Status JobScheduler::CheckLiveSettings(const v1::FineTuningJob& job, const v1::UpdateFineTuningJobRequest& request) const {
  const auto& paths = request.update_mask().paths();
  if (std::none_of(paths.begin(), paths.end(), IsLiveSetting)) return absl::OkStatus();
  const v1::FineTuningSpec& spec = job.effective_spec();
  if (spec.has_lr_range_test()) return absl::FailedPreconditionError(StrCat(job.name(), " is a learning-rate range test, which sets its own rates; cancel it and create another"));
  const bool epochs = std::find(paths.begin(), paths.end(), jobs::kEpochs) != paths.end() && request.fine_tuning_job().live_settings().has_n_epochs();
  if (epochs && !spec.phases().empty() && !spec.phases().rbegin()->has_n_epochs()) {
    return absl::FailedPreconditionError(StrCat(jobs::kEpochs, ": the last phase of ", job.name(), " (", spec.phases().rbegin()->name(), ") does not end by epochs"));
  }
  return absl::OkStatus();
}

void JobScheduler::HandleAdjusted(LiveJob& live, const v1::Adjustment& adjustment) {
  v1::FineTuningJob& job = live.job.resource;
  // What waited for this is done. A later change, which the worker did not know of yet, waits on.
  jobs::DropWaiting(job, [&](const v1::Adjustment& known) { return SameChange(known, adjustment); });
  const auto waiting = std::find_if(job.adjustments().begin(), job.adjustments().end(), [](const v1::Adjustment& known) { return known.after_step() < 0; });
  const auto place = waiting - job.adjustments().begin();
  *job.add_adjustments() = adjustment;
  std::rotate(job.mutable_adjustments()->begin() + place, job.mutable_adjustments()->end() - 1, job.mutable_adjustments()->end());
  Publish(live);
  if (adjustment.has_batch_parts()) metrics_.BatchesDivided();
  const std::string after = StrCat("after step ", adjustment.after_step(), ": ", Words(adjustment));
  Append(live, adjustment.has_batch_parts() ? WarningEvent(after, live.attempt()) : LogEvent(after, live.attempt()), {jobs::PutJob{live.job}});
}

bool JobScheduler::DivideBatches(LiveJob& live) {
  v1::FineTuningJob& job = live.job.resource;
  int parts = 1;
  for (const v1::Adjustment& known : job.adjustments()) parts = std::max(parts, known.batch_parts());
  if (2 * parts > job.effective_spec().hyperparameters().batch_size()) return false;
  v1::Adjustment& adjustment = *job.add_adjustments();
  adjustment.set_after_step(kNotYet);
  adjustment.set_batch_parts(2 * parts);
  return true;
}

void JobScheduler::HandleUpdate(const v1::UpdateFineTuningJobRequest& request, JobCallback done) {
  const v1::FineTuningJob& changed = request.fine_tuning_job();
  const std::string id = changed.name().substr(changed.name().find('/') + 1);
  LiveJob* live = Find(id);
  if (live == nullptr) return done(jobs::NoSuchJob(id));
  if (absl::Status status = jobs::CheckUpdate(request); !status.ok()) return done(status);
  v1::FineTuningJob& job = live->job.resource;
  if (jobs::IsFinal(job.state())) return done(HasEnded(job, "changed"));
  if (absl::Status status = CheckLiveSettings(job, request); !status.ok()) return done(status);
  std::vector<std::string> changes;
  const v1::LiveSettings before = job.live_settings();
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "display_name") {
      job.set_display_name(changed.display_name());
      changes.push_back(StrCat("display name \"", job.display_name(), "\""));
    } else if (path == "labels") {
      *job.mutable_labels() = changed.labels();
      changes.push_back("labels");
    } else if (IsLiveSetting(path)) {
      SetLive(path, changed.live_settings(), *job.mutable_live_settings());
    } else {
      changes.push_back(StrCat("priority ", changed.priority(), " (was ", job.priority(), ")"));
      job.set_priority(changed.priority());
      if (jobs::HoldsSlot(job.state())) live->start_priority = changed.priority();
    }
  }
  if (!google::protobuf::util::MessageDifferencer::Equals(before, job.live_settings())) {
    jobs::DropWaiting(job, [](const v1::Adjustment& known) { return known.has_live_settings(); });
    v1::Adjustment& adjustment = *job.add_adjustments();
    adjustment.set_after_step(kNotYet);
    *adjustment.mutable_live_settings() = job.live_settings();
    changes.push_back(Words(adjustment));
    if (live->attempt_open) deps_.pool.Adjust({job.name(), live->attempt()}, job.live_settings());
  }
  placement_due_ = true;
  Publish(*live);
  Append(*live, LogEvent(StrCat("changed on request: ", absl::StrJoin(changes, ", ")), live->attempt()), {jobs::PutJob{live->job}});
  AnswerWhenDurable(*live, std::move(done));
}

}  // namespace attune::scheduler
