#include "server/training/steps/train_loop.h"

#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include "absl/strings/str_cat.h"
#include "server/training/input/epoch_order.h"
#include "server/training/input/prefetcher.h"
#include "server/training/steps/non_finite.h"
#include "server/training/steps/plan/lr_schedule.h"
#include "server/training/steps/precision.h"
#include "server/training/steps/replay_loss.h"

namespace attune::training {
namespace {

using SteadyClock = std::chrono::steady_clock;

double SecondsSince(SteadyClock::time_point start) { return std::chrono::duration<double>(SteadyClock::now() - start).count(); }

class PhaseLoop {
 public:
  PhaseLoop(Model& model, Task& task, Optimizer& optimizer, const BatchSource& batches, const TrainingPlan& plan, const LoopPhase& phase,
            const LoopOptions& options, const LoopCallbacks& callbacks)
      : model_(model), task_(task), optimizer_(optimizer), plan_(plan), phase_(phase), options_(options), callbacks_(callbacks),
        steps_(plan.phases()[phase.phase].steps),
        next_batch_(plan.BatchesBefore(phase.phase, phase.begin_step)),
        loader_(
            [&batches, &plan, phase = phase.phase](int64_t i) {
              const BatchPlace place = plan.Place(phase, i);
              return batches.Make(place.epoch, place.batch);
            },
            next_batch_, plan.BatchesBefore(phase.phase, steps_), {.depth = 2 * options.loader_threads + 2, .threads = options.loader_threads}) {}

  LoopEnd Run() {
    for (int64_t step = phase_.begin_step; step < steps_; ++step) {
      const std::optional<StepReport> report = Step(step);
      if (!report.has_value()) return diverged_ ? LoopEnd::kDiverged : LoopEnd::kStopped;
      if (!callbacks_.after_step(*report)) return step + 1 < steps_ ? LoopEnd::kEndedByCallback : LoopEnd::kCompleted;
    }
    return LoopEnd::kCompleted;
  }

 private:
  // Empty when stopped, and when diverged.
  std::optional<StepReport> Step(int64_t step) {
    const auto start = SteadyClock::now();
    const double waited = loader_.waited_seconds();
    StepReport report;
    report.steps_done = step + 1;
    report.job_step = phase_.job_step + (step - phase_.begin_step) + 1;
    report.learning_rate =
        phase_.rate ? phase_.rate(step) : phase_.peak_rate * LearningRateFactor(phase_.schedule, step, phase_.warmup_steps, steps_);
    const StepWork work = plan_.Work(phase_.phase, step);
    at::Tensor loss;
    weight_ = at::Tensor();
    for (int64_t i = 0; i < work.batches; ++i) {
      if (callbacks_.stop_requested()) {
        callbacks_.before_update();  // whatever holds gradients besides the optimizer gives them up
        optimizer_.ClearGradients();
        return std::nullopt;
      }
      const at::Tensor part = MicroStep(work, report);
      loss = loss.defined() ? loss + part : part;
    }
    Update(loss, report);
    if (diverged_) return std::nullopt;
    report.seconds = SecondsSince(start);
    report.waited_seconds = loader_.waited_seconds() - waited;
    return report;
  }

  // Adds one batch's gradients, weighted by its share of the step's rows. Returns its share of the loss, on the device. Where rows have weights the share is not known
  // before the step's last batch: gradients and loss are then sums over rows, and Update divides by their weights.
  at::Tensor MicroStep(const StepWork& work, StepReport& report) {
    const Batch batch = ToDevice(*loader_.Next(), options_.device);
    SeedGenerators(StepSeed(options_.seed, plan_.Place(phase_.phase, next_batch_++).micro_step));
    report.rows += batch.rows;
    report.tokens += batch.text.tokens;
    at::Tensor loss;
    {
      AutocastGuard autocast(options_.device, options_.precision);
      loss = LossOfRows(task_, options_.replay_task, model_.Forward(batch, {.training = true, .train_batch_norm = phase_.train_batch_norm}), batch);
    }
    if (const at::Tensor weight = task_.BatchWeight(batch); weight.defined()) {
      weight_ = weight_.defined() ? weight_ + weight : weight;
    } else if (const int64_t own_rows = OwnRows(batch); own_rows != work.rows) {
      loss = loss * (static_cast<double>(own_rows) / static_cast<double>(work.rows));
    }
    loss.backward();
    last_targets_ = batch.targets;
    return loss.detach();
  }

  void Update(const at::Tensor& loss, StepReport& report) {
    callbacks_.before_update();
    report.loss = loss.item<double>();
    if (weight_.defined()) {
      const double weight = weight_.item<double>();
      const double share = weight > 0 ? 1 / weight : 0;  // a step whose rows all weigh 0 has no gradient
      report.loss *= share;
      optimizer_.ScaleGradients(share);
    }
    optimizer_.AddPenalty();
    report.grad_norm = optimizer_.GradientNorm();
    if (!std::isfinite(report.loss) || !std::isfinite(report.grad_norm)) {
      optimizer_.ClearGradients();
      diverged_ = options_.divergence_ends && report.job_step > 1;
      if (diverged_) return;
      ThrowNotFinite(model_, task_, last_targets_, {report.job_step, report.loss, report.learning_rate, options_.precision});
    }
    optimizer_.Step(report.learning_rate, ClipDivisor(report.grad_norm, options_.max_grad_norm));
    optimizer_.ClearGradients();
    callbacks_.after_update();
  }

  Model& model_;
  Task& task_;
  Optimizer& optimizer_;
  const TrainingPlan& plan_;
  const LoopPhase phase_;
  const LoopOptions options_;
  const LoopCallbacks& callbacks_;
  const int64_t steps_;
  int64_t next_batch_;  // within the phase
  Prefetcher loader_;
  at::Tensor last_targets_;
  at::Tensor weight_;  // of the step's rows so far; undefined: rows count the same
  bool diverged_ = false;
};

}  // namespace

LoopEnd RunPhase(Model& model, Task& task, Optimizer& optimizer, const BatchSource& batches, const TrainingPlan& plan, const LoopPhase& phase,
                 const LoopOptions& options, const LoopCallbacks& callbacks) {
  return PhaseLoop(model, task, optimizer, batches, plan, phase, options, callbacks).Run();
}

}  // namespace attune::training
