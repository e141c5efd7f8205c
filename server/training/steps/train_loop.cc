#include "server/training/steps/train_loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>

#include "absl/strings/str_cat.h"
#include "server/base/counter_random.h"
#include "server/training/input/batch_parts.h"
#include "server/training/input/epoch_order.h"
#include "server/training/input/prefetcher.h"
#include "server/training/steps/non_finite.h"
#include "server/training/steps/out_of_memory.h"
#include "server/training/steps/plan/lr_schedule.h"
#include "server/training/steps/precision.h"
#include "server/training/steps/replay_loss.h"

namespace attune::training {
namespace {

using SteadyClock = std::chrono::steady_clock;

double SecondsSince(SteadyClock::time_point start) { return std::chrono::duration<double>(SteadyClock::now() - start).count(); }

constexpr uint64_t kPartStream = 0x50415254'00000000ull;  // of a micro-step's seed: dropout of its later parts

// What a forward pass in training changes besides gradients: running statistics. Kept, so that a step can begin again.
class RunningStatistics {
 public:
  explicit RunningStatistics(const Model& model) {
    for (const Buffer& buffer : model.buffers()) {
      tensors_.push_back(buffer.tensor);
      kept_.push_back(at::empty_like(buffer.tensor));
    }
  }
  void Keep() { Copy(tensors_, kept_); }
  void Restore() { Copy(kept_, tensors_); }

 private:
  static void Copy(const std::vector<at::Tensor>& from, std::vector<at::Tensor>& to) {
    at::NoGradGuard no_grad;
    for (size_t i = 0; i < from.size(); ++i) to[i].copy_(from[i]);
  }

  std::vector<at::Tensor> tensors_, kept_;
};

class PhaseLoop {
 public:
  PhaseLoop(Model& model, Task& task, Optimizer& optimizer, const BatchSource& batches, const TrainingPlan& plan, const LoopPhase& phase,
            const LoopOptions& options, const LoopCallbacks& callbacks)
      : model_(model), task_(task), optimizer_(optimizer), batches_(batches), plan_(plan), phase_(phase), options_(options), callbacks_(callbacks),
        parts_(std::max(1, options.parts)), steps_(plan.phases()[phase.phase].steps),
        next_batch_(plan.BatchesBefore(phase.phase, phase.begin_step)),
        loader_([this](int64_t i) { return MakeBatch(i); }, next_batch_, plan.BatchesBefore(phase.phase, steps_),
                {.depth = 2 * options.loader_threads + 2, .threads = options.loader_threads}) {
    const auto learns = [](const Parameter& parameter) { return parameter.tensor.requires_grad(); };
    if (phase.train_batch_norm && std::any_of(model.parameters().begin(), model.parameters().end(), learns)) statistics_.emplace(model);
  }

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
    taken_ = 0;
    if (statistics_.has_value()) statistics_->Keep();
    std::optional<at::Tensor> loss;
    while (!AddGradients(work, report, loss)) BeginAgain(report.job_step - 1);
    if (!loss.has_value()) return std::nullopt;
    next_batch_ += work.batches;
    Update(*loss, report);
    if (diverged_) return std::nullopt;
    report.seconds = SecondsSince(start);
    report.waited_seconds = loader_.waited_seconds() - waited;
    return report;
  }

  // Gradients of all of the step's batches, and their loss, on the device; none when stopped. False: memory ran out, and smaller parts may fit.
  bool AddGradients(const StepWork& work, StepReport& report, std::optional<at::Tensor>& loss) {
    report.rows = report.tokens = 0;
    weight_ = at::Tensor();
    at::Tensor sum;
    int64_t rows = 0;  // of the batch that the model works on
    try {
      for (int64_t i = 0; i < work.batches; ++i) {
        if (callbacks_.stop_requested()) {
          DropGradients();
          return true;
        }
        rows = 0;
        const Batch batch = TakeBatch(i);
        rows = OwnRows(batch);
        const at::Tensor part = MicroStep(batch, next_batch_ + i, work, report);
        sum = sum.defined() ? sum + part : part;
      }
    } catch (const std::exception& error) {
      if (!IsOutOfMemory(error) || parts_ >= rows) throw;
      return false;
    }
    loss = sum;
    return true;
  }

  // Batch i of the step. What was taken before, when memory ran out, is made anew.
  Batch TakeBatch(int64_t i) {
    if (i < taken_) return ToDevice(MakeBatch(next_batch_ + i), options_.device);
    ++taken_;
    return ToDevice(*loader_.Next(), options_.device);
  }

  Batch MakeBatch(int64_t batch_of_phase) const {
    const BatchPlace place = plan_.Place(phase_.phase, batch_of_phase);
    return batches_.Make(place.epoch, place.batch);
  }

  void BeginAgain(int64_t after_step) {
    DropGradients();
    last_targets_ = at::Tensor();
    if (statistics_.has_value()) statistics_->Restore();
    ReturnFreedMemory();
    parts_ *= 2;
    callbacks_.divided(after_step, parts_);
  }

  void DropGradients() {
    callbacks_.before_update();  // whatever holds gradients besides the optimizer gives them up
    optimizer_.ClearGradients();
  }

  // Adds one batch's gradients, weighted by its share of the step's rows. Returns its share of the loss, on the device. Where rows have weights the share is not known
  // before the step's last batch: gradients and loss are then sums over rows, and Update divides by their weights.
  at::Tensor MicroStep(const Batch& batch, int64_t batch_of_phase, const StepWork& work, StepReport& report) {
    const uint64_t seed = StepSeed(options_.seed, plan_.Place(phase_.phase, batch_of_phase).micro_step);
    const int parts = static_cast<int>(std::min<int64_t>(parts_, OwnRows(batch)));
    const double share = static_cast<double>(OwnRows(batch)) / static_cast<double>(work.rows);
    at::Tensor loss;
    for (int i = 0; i < parts; ++i) {
      SeedGenerators(i == 0 ? seed : StreamKey(seed, kPartStream + static_cast<uint64_t>(i)));
      const Batch part = PartOf(batch, i, parts);
      const at::Tensor part_loss = PassOver(part, parts == 1 ? share : share * static_cast<double>(part.rows) / static_cast<double>(batch.rows));
      loss = loss.defined() ? loss + part_loss : part_loss;
    }
    report.rows += batch.rows;
    report.tokens += batch.text.tokens;
    last_targets_ = batch.targets;
    return loss;
  }

  // `share`: what its mean counts in the step's.
  at::Tensor PassOver(const Batch& batch, double share) {
    at::Tensor loss;
    {
      AutocastGuard autocast(options_.device, options_.precision);
      loss = LossOfRows(task_, options_.replay_task, model_.Forward(batch, {.training = true, .train_batch_norm = phase_.train_batch_norm}), batch);
    }
    if (const at::Tensor weight = task_.BatchWeight(batch); weight.defined()) {
      weight_ = weight_.defined() ? weight_ + weight : weight;
    } else if (share != 1) {
      loss = loss * share;
    }
    loss.backward();
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
  const BatchSource& batches_;
  const TrainingPlan& plan_;
  const LoopPhase phase_;
  const LoopOptions options_;
  const LoopCallbacks& callbacks_;
  int parts_;
  const int64_t steps_;
  int64_t next_batch_;  // of the phase: the first of the step that is in work
  int64_t taken_ = 0;   // of its batches from the loader
  std::optional<RunningStatistics> statistics_;
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
