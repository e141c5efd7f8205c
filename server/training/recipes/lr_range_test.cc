#include "server/training/recipes/lr_range_test.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/training/recipes/feature_cache.h"
#include "server/training/recipes/job_setup.h"
#include "server/training/recipes/run_reporter.h"
#include "server/training/recipes/training_batches.h"
#include "server/training/steps/plan/lr_range.h"
#include "server/training/steps/train_loop.h"

namespace attune::training {
namespace {

class RangeTestRun {
 public:
  RangeTestRun(const FineTuneSpec& spec, const JobPaths& paths, JobReporter& reporter, Files& files, const Clock& clock)
      : spec_(spec), reporter_(reporter), setup_(SetUp(spec, paths, reporter)), features_(setup_, paths, files, reporter),
        run_reporter_(*setup_.plan, StepCosts(setup_, spec, !paths.feature_cache_dir.empty()), /*evaluation_rows=*/0, reporter, clock),
        range_({.least = spec.lr_range_test.min_learning_rate, .most = spec.lr_range_test.max_learning_rate, .steps = setup_.plan->phases()[0].steps}) {}

  JobResult Run() {
    reporter_.Started(0, setup_.device.str(), spec_.threads);
    const std::unique_ptr<Optimizer> optimizer = SetUpPhase(setup_, spec_, 0);
    features_.BeginPhase();
    const std::unique_ptr<BatchSource> batches = TrainingBatches(setup_, features_, spec_, /*phase=*/0, [this] { return StopRequested(); });
    if (batches == nullptr) return Stopped();
    run_reporter_.BeginPhase(0, {spec_.phases[0].name, 0, optimizer->parameter_count(), setup_.headed.parameter_count()});
    LoopPhase loop;
    loop.rate = [this](int64_t step) { return range_.RateAt(step); };
    loop.train_batch_norm = spec_.phases[0].train_batch_norm;
    LoopOptions options = LoopOptionsOf(setup_, spec_);
    options.divergence_ends = true;
    LoopCallbacks callbacks = {[this] { return StopRequested(); }, [this](const StepReport& report) { return AfterStep(report); }};
    callbacks.divided = [this](int64_t, int parts) { reporter_.LogLine(absl::StrCat("memory ran out: batches go through the model in ", parts, " parts")); };
    UseAdapters(setup_, callbacks);
    const LoopEnd end = RunPhase(*setup_.headed.model, *setup_.headed.task, *optimizer, *batches, *setup_.plan, loop, options, callbacks);
    return end == LoopEnd::kStopped ? Stopped() : Finished(end);
  }

 private:
  bool StopRequested() {
    stop_ = reporter_.Stop();
    return stop_ != StopRequest::kNone;
  }

  bool AfterStep(const StepReport& report) {
    const bool goes_on = range_.Add(report.loss);
    steps_ = report.job_step;
    run_reporter_.Step(report, {{"smoothed_loss", range_.smoothed()}});
    return goes_on;
  }

  JobResult Stopped() const {
    JobResult result;
    result.cancelled = stop_ == StopRequest::kCancel;
    result.preempted = stop_ == StopRequest::kPreempt;
    return result;
  }

  JobResult Finished(LoopEnd end) const {
    JobResult result;
    const LrSuggestion suggestion = range_.Suggest();
    result.lr_range = LrRangeReport{suggestion.steepest, suggestion.tenth_of_minimum};
    const char* why = end == LoopEnd::kDiverged          ? "the loss is no finite number any more"
                      : end == LoopEnd::kEndedByCallback ? "the loss has blown up"
                                                         : "the last rate is reached";
    reporter_.LogLine(absl::StrCat("learning-rate range test ends after ", steps_, " steps: ", why));
    reporter_.LogLine(suggestion.steepest > 0
                          ? absl::StrCat("suggested learning rate: ", suggestion.steepest, " (the loss falls fastest there), or ", suggestion.tenth_of_minimum,
                                         " (a tenth of the rate at which the loss is least)")
                          : "no learning rate is suggested, for the loss never fell: look at the curve, and try a wider range, more steps or larger batches");
    return result;
  }

  const FineTuneSpec& spec_;
  JobReporter& reporter_;
  JobSetup setup_;
  FeatureCache features_;
  RunReporter run_reporter_;
  LrRange range_;
  int64_t steps_ = 0;
  StopRequest stop_ = StopRequest::kNone;
};

}  // namespace

JobResult RunLrRangeTest(const FineTuneSpec& spec, const JobPaths& paths, JobReporter& reporter, Files& files, const Clock& clock) {
  return RangeTestRun(spec, paths, reporter, files, clock).Run();
}

}  // namespace attune::training
