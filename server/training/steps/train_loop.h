// The loop over optimizer steps of one phase: batches in, updates out, nothing else. Evaluating, saving and reporting are the caller's, from a callback after each step.
// The training thread alone; batches are made ahead on a thread of their own. Throws TrainingError when the loss or the gradients are not finite, before the weights
// take the step, and passes on what batches, model and task throw.
//
// Where memory runs out in a forward or backward pass, the step begins again with each batch in twice as many parts, whose gradients add up, and so do all steps after it: the
// result is the mean over the same rows. It is passed on when a part of one row does not fit.
//
//   LoopEnd end = RunPhase(model, task, optimizer, batches, plan, {.phase = 0, .peak_rate = 5e-5}, options, callbacks);
#pragma once

#include <cstdint>
#include <functional>

#include <c10/core/Device.h>

#include "server/training/input/batch.h"
#include "server/training/models/model.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/steps/optimizer.h"
#include "server/training/steps/plan/phase_plan.h"
#include "server/training/tasks/task.h"

namespace attune::training {

struct LoopOptions {
  c10::Device device = c10::Device(c10::kCPU);
  Precision precision = Precision::kFp32;
  double max_grad_norm = 0;  // 0: not clipped
  uint64_t seed = 0;         // of dropout
  int loader_threads = 1;    // that make batches ahead
  bool divergence_ends = false;  // a loss or gradient that is not finite after the first step ends the phase in place of throwing
  int parts = 1;                 // that each batch goes through the model in; a batch of fewer rows in one for each row
  Task* replay_task = nullptr;   // whose head the rows of a second dataset go through; null: the job's own
};

struct LoopPhase {
  int phase = 0;            // index into plan.phases()
  int64_t begin_step = 0;   // steps of the phase that are done already
  int64_t job_step = 0;     // steps of the job that are done already
  double peak_rate = 0;
  ScheduleKind schedule = ScheduleKind::kLinear;
  int64_t warmup_steps = 0;
  std::function<double(int64_t step)> rate;  // of each step of the phase, in place of peak rate and schedule; empty: by those
  bool train_batch_norm = true;  // of the layers that learn
};

// What one optimizer step did.
struct StepReport {
  int64_t steps_done = 0;     // in the phase, this one included
  int64_t job_step = 0;       // in the job, this one included
  double loss = 0;            // mean over the step's rows, by their weights where the task has class weights; without the optimizer's penalty
  double grad_norm = 0;       // before clipping, with the penalty
  double learning_rate = 0;   // of the topmost layer
  int64_t rows = 0;
  int64_t tokens = 0;         // of texts; 0 for images
  double seconds = 0;         // of the step alone
  double waited_seconds = 0;  // of them, for batches
};

struct LoopCallbacks {
  std::function<bool()> stop_requested;                // asked before each micro-step; true stops there, dropping an unfinished step's gradients
  std::function<bool(const StepReport&)> after_step;   // false ends the phase
  std::function<void()> before_update = [] {};         // after a step's last backward pass; may replace gradients
  std::function<void()> after_update = [] {};          // after the optimizer's step; may replace weights
  // Memory ran out: steps after `after_step` of the job have their batches in so many parts.
  std::function<void(int64_t after_step, int parts)> divided = [](int64_t, int) {};
};

enum class LoopEnd { kCompleted, kEndedByCallback, kStopped, kDiverged };

LoopEnd RunPhase(Model& model, Task& task, Optimizer& optimizer, const BatchSource& batches, const TrainingPlan& plan, const LoopPhase& phase,
                 const LoopOptions& options, const LoopCallbacks& callbacks);

}  // namespace attune::training
