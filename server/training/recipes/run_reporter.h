// RunReporter: turns what the loop does into reports: progress at most each 200 ms, metrics at most about 20 a second after a burst, means over the last steps, and the
// time that is left. The training thread alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "server/base/clock.h"
#include "server/training/recipes/job_reporter.h"
#include "server/training/steps/plan/pace.h"
#include "server/training/steps/plan/phase_plan.h"
#include "server/training/steps/train_loop.h"
#include "server/training/tasks/task.h"

namespace attune::training {

class RunReporter {
 public:
  // `costs`: relative cost of a step of each phase of the plan (forward 1, backward 2 for the share of layers that learn). `evaluation_rows`: 0 when nothing is evaluated.
  RunReporter(const TrainingPlan& plan, std::vector<double> costs, int64_t evaluation_rows, JobReporter& reporter, const Clock& clock);

  void BeginPhase(int phase, const PhaseReport& report);
  // `more`: further values for the step's metrics.
  void Step(const StepReport& step, const std::map<std::string, double>& more = {});
  void Evaluation(const EvaluationReport& report, double seconds);

 private:
  ProgressReport MakeProgress(const StepReport& step) const;
  int64_t TotalSteps(const StepReport& step) const;

  const TrainingPlan& plan_;
  const std::vector<double> costs_;
  const int64_t evaluation_rows_;
  JobReporter& reporter_;
  const Clock& clock_;
  RatePace progress_pace_;
  BurstPace metric_pace_;
  int phase_ = 0;
  std::string phase_name_;
  RecentMean seconds_, rows_, tokens_, loss_, waited_;
  double seconds_per_cost_ = 0;
  double rows_per_step_ = 0;
  double seconds_per_evaluation_ = 0;
  WorkReport work_;
};

// An evaluation as it is reported.
EvaluationReport MakeEvaluationReport(int64_t step, const std::string& split, const EvaluationResult& result, bool is_best);

}  // namespace attune::training
