#include "server/training/steps/plan/phase_plan.h"

#include <algorithm>
#include <stdexcept>

#include "absl/strings/str_cat.h"

namespace attune::training {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

void Require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

void CheckOptions(const PlanOptions& options) {
  Require(options.rows > 0, "the dataset has no training rows; import it again with rows in the train split");
  Require(options.batch_size > 0, absl::StrCat("batch_size must be at least 1, not ", options.batch_size));
  Require(options.accumulation > 0, absl::StrCat("gradient_accumulation_steps must be at least 1, not ", options.accumulation));
  Require(options.max_steps >= 0, absl::StrCat("max_steps must not be negative, but is ", options.max_steps));
}

}  // namespace

TrainingPlan::TrainingPlan(const std::vector<PhaseSpec>& phases, const PlanOptions& options) : options_(options) {
  CheckOptions(options);
  Require(!phases.empty(), "phases must name at least one phase");
  batches_per_epoch_ = CeilDiv(options.rows, options.batch_size);
  steps_per_epoch_ = CeilDiv(batches_per_epoch_, options.accumulation);
  int64_t epochs = 0;
  for (size_t i = 0; i < phases.size(); ++i) {
    const PhaseSpec& phase = phases[i];
    Require(phase.n_epochs > 0 || phase.max_steps > 0,
            absl::StrCat("phases[", i, "] (", phase.name, ") needs n_epochs or max_steps of at least 1"));
    PlannedPhase planned;
    planned.index = static_cast<int>(i);
    planned.name = phase.name;
    planned.first_step = total_steps_;
    planned.first_epoch = epochs;
    planned.by_epochs = phase.max_steps == 0 && phase.plateau_patience == 0;
    planned.steps = phase.max_steps > 0 ? phase.max_steps : phase.n_epochs * steps_per_epoch_;
    if (phase.max_steps > 0 && phase.n_epochs > 0) planned.steps = std::min(planned.steps, phase.n_epochs * steps_per_epoch_);
    if (options.max_steps > 0) planned.steps = std::min(planned.steps, options.max_steps - total_steps_);
    if (planned.steps <= 0) break;  // max_steps is used up
    total_steps_ += planned.steps;
    epochs += CeilDiv(planned.steps, steps_per_epoch_);
    phases_.push_back(planned);
  }
}

void TrainingPlan::SetEpochsOfLast(int64_t n_epochs) {
  PlannedPhase& last = phases_.back();
  if (!last.by_epochs || n_epochs < 1) throw std::logic_error(absl::StrCat("phase ", last.name, " cannot have ", n_epochs, " epochs"));
  last.steps = n_epochs * steps_per_epoch_;
  if (options_.max_steps > 0) last.steps = std::min(last.steps, options_.max_steps - last.first_step);
  total_steps_ = last.first_step + last.steps;
}

StepWork TrainingPlan::Work(int phase, int64_t step) const {
  const int64_t step_of_epoch = step % steps_per_epoch_;
  StepWork work;
  work.epoch = phases_[phase].first_epoch + step / steps_per_epoch_;
  work.first_batch = step_of_epoch * options_.accumulation;
  work.batches = std::min(options_.accumulation, batches_per_epoch_ - work.first_batch);
  const int64_t first_row = work.first_batch * options_.batch_size;
  work.rows = std::min(work.batches * options_.batch_size, options_.rows - first_row);
  return work;
}

int64_t TrainingPlan::BatchesBefore(int phase, int64_t step) const {
  return (step / steps_per_epoch_) * batches_per_epoch_ + (step % steps_per_epoch_) * options_.accumulation;
}

BatchPlace TrainingPlan::Place(int phase, int64_t batch_of_phase) const {
  BatchPlace place;
  place.epoch = phases_[phase].first_epoch + batch_of_phase / batches_per_epoch_;
  place.batch = batch_of_phase % batches_per_epoch_;
  place.micro_step = place.epoch * batches_per_epoch_ + place.batch;
  return place;
}

int64_t TrainingPlan::RowsOf(int64_t batch_of_epoch) const {
  return std::min(options_.batch_size, options_.rows - batch_of_epoch * options_.batch_size);
}

double TrainingPlan::EpochsDone(int64_t steps_done) const {
  return static_cast<double>(steps_done) / static_cast<double>(steps_per_epoch_);
}

int64_t TrainingPlan::Epochs(int phase) const { return CeilDiv(phases_[phase].steps, steps_per_epoch_); }

bool TrainingPlan::Due(int64_t every, int phase, int64_t steps_done, int64_t job_step) const {
  if (steps_done == phases_[phase].steps) return true;
  return every > 0 ? job_step % every == 0 : steps_done % steps_per_epoch_ == 0;
}

bool TrainingPlan::EvaluationDue(int phase, int64_t steps_done, int64_t job_step) const {
  return Due(options_.eval_steps, phase, steps_done, job_step);
}

int64_t TrainingPlan::EvaluationsLeft(int phase, int64_t steps_done) const {
  return CeilDiv(phases_[phase].steps - steps_done, options_.eval_steps > 0 ? options_.eval_steps : steps_per_epoch_);
}

bool TrainingPlan::SavesWithin(int phase, int64_t steps_done, bool evaluates) const {
  const PlannedPhase& planned = phases_[static_cast<size_t>(phase)];
  for (int64_t done = steps_done + 1; done < planned.steps; ++done) {
    if (CheckpointDue(phase, done, planned.first_step + done) || (evaluates && EvaluationDue(phase, done, planned.first_step + done))) return true;
  }
  return false;
}

bool TrainingPlan::CheckpointDue(int phase, int64_t steps_done, int64_t job_step) const {
  return Due(options_.save_steps, phase, steps_done, job_step);
}

}  // namespace attune::training
