#include "server/training/recipes/fine_tune.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/training/recipes/checkpoint_keeper.h"
#include "server/training/recipes/feature_cache.h"
#include "server/training/recipes/job_setup.h"
#include "server/training/recipes/run_reporter.h"
#include "server/training/recipes/training_batches.h"
#include "server/training/steps/evaluate.h"
#include "server/training/steps/plan/adjustments.h"
#include "server/training/steps/plan/best_tracker.h"
#include "server/training/steps/plan/checkpoint_interval.h"
#include "server/training/steps/plan/lr_schedule.h"
#include "server/training/steps/train_loop.h"
#include "server/training/steps/training_error.h"
#include "server/training/steps/weight_average.h"

namespace attune::training {
namespace {

class FineTuneRun {
 public:
  FineTuneRun(const FineTuneSpec& spec, const JobPaths& paths, JobReporter& reporter, Files& files, const Clock& clock)
      : spec_(spec), paths_(paths), reporter_(reporter), clock_(clock), setup_(SetUp(spec, paths, reporter)),
        features_(setup_, paths, files, reporter),
        run_reporter_(*setup_.plan, StepCosts(setup_, spec, !paths.feature_cache_dir.empty()), setup_.rows(setup_.evaluation_split), reporter, clock),
        keeper_(files, paths.output_dir, setup_.fixed_files, reporter), tracker_(spec.best_metric, LargerIsBetter(spec.best_metric)),
        interval_(clock.Now()), adjustments_(spec.adjustments), asked_plan_(*setup_.plan) {}

  JobResult Run() {
    Resume();
    reporter_.Started(state_.step, setup_.device.str(), spec_.threads);
    Adjust();
    const int phases = static_cast<int>(setup_.plan->phases().size());
    while (state_.phase < phases && stop_ == StopRequest::kNone) {
      if (!PhaseIsOver()) TrainPhase();
      if (stop_ == StopRequest::kNone) NextPhase();
    }
    if (stop_ != StopRequest::kNone) return Stopped();
    return Finished();
  }

 private:
  const PlannedPhase& planned() const { return setup_.plan->phases()[state_.phase]; }
  bool PhaseIsOver() const { return state_.phase_ended || state_.step_in_phase >= planned().steps; }
  bool IsLastPhase() const { return state_.phase + 1 == static_cast<int>(setup_.plan->phases().size()); }

  void Resume() {
    if (paths_.resume_dir.empty()) return;
    auto text = ReadFile(paths_.resume_dir + "/" + kTrainingStateFile);
    ThrowIfError(text.status());
    state_ = TrainingState::FromJson(*text);
    if (state_.phase < 0 || state_.phase >= static_cast<int>(setup_.plan->phases().size()) || state_.step_in_phase < 0) {
      throw TrainingError(spec_.begins_after > 0 ? FailureCategory::kUser : FailureCategory::kSystem, absl::StrCat(paths_.resume_dir, " is a checkpoint of another job: this one has no phase ", state_.phase));
    }
    if (state_.step == spec_.begins_after && IsLastPhase() && PhaseIsOver()) {
      throw TrainingError(FailureCategory::kUser, absl::StrCat("nothing is left to train: the checkpoint at step ", state_.step, " is the end of the last phase, ", planned().name,
                                                               "; make that phase longer, or add one"));
    }
    tracker_.Restore(state_.best);
    saved_best_ = state_.best;
    keeper_.Resumed(state_.step);
  }

  // Batches of a split in order, for figures. Null when stopped.
  std::unique_ptr<BatchSource> Evaluated(examples::Split split) {
    return features_.Batches({.split = split, .rows = EvaluatedRows(split)}, setup_.targets(), [this] { return StopRequested(); });
  }
  BatchRowsOptions EvaluatedRows(examples::Split split) const {
    return {.rows = setup_.rows(split), .batch_size = spec_.eval_batch_size, .seed = spec_.seed, .shuffle = false};
  }
  EvaluateOptions evaluate_options() const { return {setup_.device, setup_.precision, setup_.input->loader_threads(setup_.threads)}; }

  void NextPhase() {
    if (IsLastPhase()) {
      ++state_.phase;
      return;
    }
    ++state_.phase;
    state_.step_in_phase = 0;
    state_.phase_ended = false;
    state_.optimizer_steps = 0;
  }

  void TrainPhase() {
    const PhaseSpec& phase = spec_.phases[planned().index];
    average_.reset();
    optimizer_ = SetUpPhase(setup_, spec_, planned().index);
    features_.BeginPhase();
    train_ = TrainingBatches(setup_, features_, spec_, state_.phase, [this] { return StopRequested(); });
    evaluation_ = train_ != nullptr && setup_.rows(setup_.evaluation_split) > 0 ? Evaluated(setup_.evaluation_split) : nullptr;
    if (stop_ != StopRequest::kNone) return;
    if (spec_.ema_decay > 0) average_.emplace(MovingTensors(setup_.headed), spec_.ema_decay);
    if (state_.step_in_phase > 0) {
      LoadTensors(ResumableTensors(), paths_.resume_dir + "/" + kOptimizerFile);
      optimizer_->set_steps(state_.optimizer_steps);
    } else {
      tracker_.BeginPhase();
    }
    Adjust();
    run_reporter_.BeginPhase(state_.phase, {phase.name, planned().index, optimizer_->parameter_count(), setup_.headed.parameter_count()});
    prepared_ = false;
    if (setup_.plan->SavesWithin(state_.phase, state_.step_in_phase, evaluation_ != nullptr)) PrepareToSave();
    Loop(phase);
    while (adjusted_ && !PhaseIsOver() && stop_ == StopRequest::kNone) {
      train_ = TrainingBatches(setup_, features_, spec_, state_.phase, [this] { return StopRequested(); });
      if (train_ != nullptr) Loop(phase);
    }
    FinishCopy();
    // A phase's result is its average: the next phase, whose frozen layers must be those of its evaluations, and the test go on from it.
    if (average_.has_value() && PhaseIsOver()) {
      average_->Adopt();
      average_.reset();
    }
  }

  void Loop(const PhaseSpec& phase) {
    adjusted_ = false;
    LoopPhase loop;
    loop.phase = state_.phase;
    loop.begin_step = state_.step_in_phase;
    loop.job_step = state_.step;
    loop.peak_rate = phase.learning_rate * adjustments_.settings().learning_rate_scale.value_or(1);
    loop.schedule = spec_.schedule;
    // Of the length that was asked for at first: a phase that has warmed up does not begin to once more.
    loop.warmup_steps = WarmupSteps(phase.warmup_steps, phase.warmup_ratio, asked_plan_.phases()[state_.phase].steps);
    loop.train_batch_norm = phase.train_batch_norm;
    LoopOptions options = LoopOptionsOf(setup_, spec_);
    options.parts = adjustments_.parts();
    LoopCallbacks callbacks = {[this] { return StopRequested(); }, [this](const StepReport& report) { return AfterStep(report); }};
    callbacks.divided = [this](int64_t after_step, int parts) { reporter_.Adjusted(adjustments_.Divide(after_step, parts)); };
    UseAdapters(setup_, callbacks);
    callbacks.before_update = [this, adapters = std::move(callbacks.before_update)] {
      FinishCopy();
      adapters();
    };
    RunPhase(*setup_.headed.model, *setup_.headed.task, *optimizer_, *train_, *setup_.plan, loop, options, callbacks);
  }

  // Lets changes take effect that belong after the steps that are done. True when the loop must know of one.
  bool Adjust() {
    const Adjustments::Change change = adjustments_.Advance(state_.step, reporter_.NewSettings());
    const LiveSettings& settings = adjustments_.settings();
    const PhaseSpec& phase = spec_.phases[planned().index];
    tracker_.SetPatience(phase.plateau_patience > 0 ? phase.plateau_patience : settings.early_stopping_patience.value_or(spec_.early_stopping_patience));
    if (change.any && setup_.plan->phases().back().by_epochs) {
      const int64_t steps = setup_.plan->steps_per_epoch();
      const int64_t begun = IsLastPhase() ? (state_.step_in_phase + steps - 1) / steps : 0;
      setup_.plan->SetEpochsOfLast(std::max<int64_t>({1, begun, settings.n_epochs.value_or(spec_.phases[setup_.plan->phases().back().index].n_epochs)}));
    }
    for (const Adjustment& news : change.news) reporter_.Adjusted(news);
    return change.any;
  }

  // What the last checkpoint holds is about to change.
  void FinishCopy() {
    const auto start = std::chrono::steady_clock::now();
    keeper_.FinishCopy();
    if (stall_.has_value()) *stall_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  // The memory for a checkpoint's copy is made ready while steps run.
  void PrepareToSave() {
    prepared_ = true;
    keeper_.Prepare(average_.has_value() ? average_->Averaged(setup_.headed.tensors()) : setup_.headed.tensors(), ResumableTensors());
  }

  // The resume part's tensors, and where weights are averaged the unaveraged ones.
  std::vector<NamedTensor> ResumableTensors() const {
    std::vector<NamedTensor> tensors = ResumeTensors(setup_, *optimizer_);
    if (average_.has_value()) {
      for (NamedTensor& raw : average_->Raw()) tensors.push_back(std::move(raw));
    }
    return tensors;
  }

  bool StopRequested() {
    stop_ = reporter_.Stop();
    return stop_ != StopRequest::kNone;
  }

  // False ends the phase.
  bool AfterStep(const StepReport& report) {
    state_.step = report.job_step;
    state_.step_in_phase = report.steps_done;
    state_.optimizer_steps = optimizer_->steps();
    state_.metrics.clear();
    if (average_.has_value()) average_->Update(report.steps_done);
    keeper_.Check();
    adjusted_ = Adjust();
    std::map<std::string, double> more;
    if (stall_.has_value()) more["checkpoint_stall_seconds"] = *std::exchange(stall_, std::nullopt);
    run_reporter_.Step(report, more);
    bool best = false;
    if (evaluation_ != nullptr && setup_.plan->EvaluationDue(state_.phase, state_.step_in_phase, state_.step)) {
      const std::optional<Verdict> verdict = EvaluateNow();
      if (!verdict.has_value()) return false;  // cancelled
      best = verdict->best;
      state_.phase_ended = verdict->phase_ends;
    }
    const bool in_between = spec_.save_steps == 0 && interval_.Due(clock_.Now(), keeper_.cost());
    if (best || PhaseIsOver() || in_between || setup_.plan->CheckpointDue(state_.phase, state_.step_in_phase, state_.step)) {
      Save(best, /*required=*/PhaseIsOver() && IsLastPhase());
    } else if (!prepared_ && spec_.save_steps == 0 && interval_.Nears(clock_.Now(), keeper_.cost())) {
      PrepareToSave();
    }
    return !state_.phase_ended && !adjusted_;
  }

  // Empty when the job was cancelled meanwhile. (A process that must go finishes the evaluation, so that the run that goes on decides as an undisturbed one.)
  std::optional<Verdict> EvaluateNow() {
    const auto start = std::chrono::steady_clock::now();
    if (average_.has_value()) average_->Swap();
    const std::optional<EvaluationResult> result = Evaluate(
        *setup_.headed.model, *setup_.headed.task, *evaluation_, setup_.rows(setup_.evaluation_split), evaluate_options(), [this] {
          if (reporter_.Stop() == StopRequest::kCancel) stop_ = StopRequest::kCancel;
          return stop_ == StopRequest::kCancel;
        });
    if (average_.has_value()) average_->Swap();
    if (!result.has_value()) return std::nullopt;
    Settle();
    const Verdict verdict = tracker_.Observe(state_.step, result->values);
    state_.metrics = result->values;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    run_reporter_.Evaluation(MakeEvaluationReport(state_.step, spec_.eval_split, *result, verdict.best), seconds);
    if (verdict.phase_ends && state_.step_in_phase < planned().steps) {
      reporter_.LogLine(absl::StrCat("phase ", planned().name, " ends at step ", state_.step, ": ", spec_.best_metric, " has not improved in the last ",
                                     tracker_.state().evaluations_without_improvement, " evaluations"));
    }
    return verdict;
  }

  // Waits for the checkpoint in flight. A best one that could not be written is none.
  void Settle() {
    if (keeper_.Settle()) {
      tracker_.ForgetBest(saved_best_);
    } else {
      saved_best_ = tracker_.state();
    }
  }

  void Save(bool is_best, bool required) {
    const auto start = std::chrono::steady_clock::now();
    if (!is_best) Settle();  // else done when it was evaluated
    state_.best = tracker_.state();
    const BatchPlace next = setup_.plan->Place(state_.phase, setup_.plan->BatchesBefore(state_.phase, state_.step_in_phase));
    state_.epoch = next.epoch;
    state_.batch = next.batch;
    SaveRequest request;
    request.tensors = average_.has_value() ? average_->Averaged(setup_.headed.tensors()) : setup_.headed.tensors();
    request.optimizer = ResumableTensors();
    request.state = state_;
    request.metrics = state_.metrics;
    request.is_best = is_best;
    request.required = required;
    keeper_.Save(request);
    stall_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    interval_.Saved(clock_.Now());
  }

  // The last checkpoint of a stopped run: where nothing is saved, another attempt would repeat the steps since the one before.
  JobResult Stopped() {
    JobResult result;
    result.cancelled = stop_ == StopRequest::kCancel;
    result.preempted = stop_ == StopRequest::kPreempt;
    try {
      Settle();
      if (state_.step > keeper_.last_saved().value_or(0)) Save(/*is_best=*/false, /*required=*/false);
      Settle();
    } catch (const TrainingError& error) {
      reporter_.LogLine(absl::StrCat("warning: stopped without a last checkpoint: ", error.what()));
    }
    result.best_step = BestStep();
    return result;
  }

  // A best one of the job that this one goes on from is that job's: here the last one stands in.
  int64_t BestStep() const {
    const BestState& best = tracker_.state();
    return best.has_best && best.best_step > spec_.begins_after ? best.best_step : keeper_.last_saved().value_or(0);
  }

  JobResult Finished() {
    Settle();
    JobResult result;
    result.best_step = BestStep();
    const int64_t rows = setup_.rows(examples::Split::kTest);
    if (rows == 0) return result;
    if (result.best_step != state_.step) LoadTensors(setup_.headed.tensors(), keeper_.PathOf(result.best_step) + "/" + kModelFile);
    features_.BeginPhase();  // the best checkpoint's weights, not those of the last step
    const std::optional<EvaluationResult> test = EvaluateTest(rows);
    if (!test.has_value()) {
      result.cancelled = stop_ == StopRequest::kCancel;
      result.preempted = stop_ == StopRequest::kPreempt;
      return result;
    }
    result.has_test = true;
    result.test = MakeEvaluationReport(result.best_step, examples::SplitName(examples::Split::kTest), *test, /*is_best=*/false);
    return result;
  }

  // Empty when stopped.
  std::optional<EvaluationResult> EvaluateTest(int64_t rows) {
    std::vector<std::unique_ptr<BatchSource>> views;
    views.push_back(Evaluated(examples::Split::kTest));
    if (views[0] == nullptr) return std::nullopt;
    for (int view = 1; view < spec_.test_views; ++view) {
      views.push_back(setup_.input->Batches(examples::Split::kTest, EvaluatedRows(examples::Split::kTest), {RowView::kTest, view}, setup_.targets()));
    }
    return EvaluateViews(*setup_.headed.model, *setup_.headed.task, views, rows, evaluate_options(), [this] { return StopRequested(); });
  }

  const FineTuneSpec& spec_;
  const JobPaths& paths_;
  JobReporter& reporter_;
  const Clock& clock_;
  JobSetup setup_;
  FeatureCache features_;
  RunReporter run_reporter_;
  CheckpointKeeper keeper_;
  BestTracker tracker_;
  CheckpointInterval interval_;
  BestState saved_best_;  // the tracker's state when the best checkpoint was last known to be durable
  TrainingState state_;
  Adjustments adjustments_;
  const TrainingPlan asked_plan_;  // without adjustments
  bool adjusted_ = false;          // the loop must begin anew
  std::unique_ptr<Optimizer> optimizer_;     // of the current phase
  std::optional<WeightAverage> average_;     // of the current phase's weights, which the model has; absent: the model has what is exported
  std::unique_ptr<BatchSource> train_;       // of the current phase
  bool prepared_ = false;                    // PrepareToSave, in this phase
  std::optional<double> stall_;              // seconds that training stood still for the last checkpoint
  std::unique_ptr<BatchSource> evaluation_;  // of the current phase; null: nothing to evaluate on
  StopRequest stop_ = StopRequest::kNone;
};

}  // namespace

JobResult FineTune(const FineTuneSpec& spec, const JobPaths& paths, JobReporter& reporter, Files& files, const Clock& clock) {
  return FineTuneRun(spec, paths, reporter, files, clock).Run();
}

}  // namespace attune::training
