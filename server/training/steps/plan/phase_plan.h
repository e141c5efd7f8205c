// TrainingPlan: which rows belong to which optimizer step of which phase, and after which steps to evaluate and to save. A pure function of the spec and the number of
// rows, so that a resumed run finds its place by (phase, step) alone. Thread-safe while nobody calls SetEpochs.
//
//   TrainingPlan plan(spec.phases, {.rows = 26000, .batch_size = 32, .accumulation = 2});
//   StepWork work = plan.Work(/*phase=*/1, /*step=*/0);     // batches work.first_batch .. of epoch work.epoch
//
// As in transformers' Trainer, batches do not cross epochs: an epoch's last batch may have fewer rows and its last optimizer step fewer batches. A step's gradient is
// the mean over its rows: each batch's mean loss is weighted by its share of the step's rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/training/recipes/fine_tune_spec.h"

namespace attune::training {

struct PlanOptions {
  int64_t rows = 0;        // of the training split
  int64_t batch_size = 32;
  int64_t accumulation = 1;
  int64_t max_steps = 0;   // of the whole job; 0: no limit
  int64_t eval_steps = 0;  // 0: each epoch
  int64_t save_steps = 0;  // 0: each epoch
};

struct PlannedPhase {
  int index = 0;             // in the spec
  std::string name;
  int64_t steps = 0;         // at most (a plateau or early stopping may end it before)
  int64_t first_step = 0;    // steps of the phases before it, at most
  int64_t first_epoch = 0;   // epochs of the phases before it, at most: no two phases share an order of rows
  bool by_epochs = false;    // it ends after a number of epochs, not by steps or a plateau
};

// The batches of one optimizer step.
struct StepWork {
  int64_t epoch = 0;        // of the job: seeds the order of the rows
  int64_t first_batch = 0;  // within the epoch
  int64_t batches = 0;
  int64_t rows = 0;         // in all of them
};

// A batch's place, by its number within the phase.
struct BatchPlace {
  int64_t epoch = 0;       // of the job
  int64_t batch = 0;       // within the epoch
  int64_t micro_step = 0;  // of the job: unique, seeds dropout
};

class TrainingPlan {
 public:
  // Throws std::invalid_argument naming the field when there are no rows, no phases, or a limit is not positive.
  TrainingPlan(const std::vector<PhaseSpec>& phases, const PlanOptions& options);

  // Gives the last phase another length; the caller sees to it that the phase has not gone beyond it. Only where it ends by epochs.
  void SetEpochsOfLast(int64_t n_epochs);

  const std::vector<PlannedPhase>& phases() const { return phases_; }  // those that max_steps leaves any steps
  int64_t total_steps() const { return total_steps_; }                 // at most
  int64_t batches_per_epoch() const { return batches_per_epoch_; }
  int64_t steps_per_epoch() const { return steps_per_epoch_; }

  // Step counts from 0 within the phase (an index into phases()).
  StepWork Work(int phase, int64_t step) const;
  // Batches that come before `step` in its phase; step may equal the phase's number of steps.
  int64_t BatchesBefore(int phase, int64_t step) const;
  BatchPlace Place(int phase, int64_t batch_of_phase) const;
  int64_t RowsOf(int64_t batch_of_epoch) const;
  double EpochsDone(int64_t steps_done) const;  // within the phase
  int64_t Epochs(int phase) const;              // that the phase begins, at most

  // Whether to evaluate, or to save, when `steps_done` steps of the phase and `job_step` of the job are done. Always after a phase's last step.
  bool EvaluationDue(int phase, int64_t steps_done, int64_t job_step) const;
  bool CheckpointDue(int phase, int64_t steps_done, int64_t job_step) const;
  // Whether checkpoints, or evaluations whose weights are kept where they are the best, come after `steps_done` and before the last step of the phase.
  bool SavesWithin(int phase, int64_t steps_done, bool evaluates) const;
  // How many more EvaluationDue will say, about.
  int64_t EvaluationsLeft(int phase, int64_t steps_done) const;

 private:
  bool Due(int64_t every, int phase, int64_t steps_done, int64_t job_step) const;

  PlanOptions options_;
  int64_t batches_per_epoch_ = 0;
  int64_t steps_per_epoch_ = 0;
  int64_t total_steps_ = 0;
  std::vector<PlannedPhase> phases_;
};

}  // namespace attune::training
