#include "server/training/recipes/probe/probe.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "server/training/recipes/probe/phase_probe.h"
#include "server/training/recipes/quiet_reporter.h"
#include "server/training/steps/plan/checkpoint_interval.h"
#include "server/training/steps/plan/job_estimate.h"

namespace attune::training {
namespace {

constexpr int kMeasuredPhases = 4;
// The kernel maps the pages around one that is touched, too.
constexpr double kMappedAround = 64 << 10;
// A forward pass is about a third of a step, where no evaluation was timed.
constexpr double kForwardShare = 1.0 / 3;

struct Stopped {};

// What a run of the recipe reports is of no interest here, but for what people should know.
class ForwardingReporter final : public QuietReporter {
 public:
  explicit ForwardingReporter(JobReporter& inner) : inner_(inner) {}
  void LogLine(const std::string& text) override { inner_.LogLine(text); }
  StopRequest Stop() override { return inner_.Stop(); }

 private:
  JobReporter& inner_;
};

// Values that learn in a phase, adapters counted in place of their weights.
int64_t LearningValues(const JobSetup& setup, int phase_of_spec) {
  int64_t values = 0;
  const std::vector<Parameter> parameters = setup.headed.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!setup.trainable[phase_of_spec][i]) continue;
    if (setup.lora != nullptr && setup.lora->Has(parameters[i].name)) {
      for (const OptimizedParameter& factor : setup.lora->Learning({parameters[i].name, parameters[i].tensor, 1, true})) values += factor.tensor.numel();
    } else {
      values += parameters[i].tensor.numel();
    }
  }
  if (setup.replay != nullptr) {
    for (const Parameter& parameter : setup.replay->parameters()) values += parameter.tensor.numel();
  }
  return values;
}

class JobProbe {
 public:
  JobProbe(const FineTuneSpec& spec, const JobPaths& paths, MemoryMeter& meter, JobReporter& reporter, Files& files, ProbeScope scope)
      : spec_(spec), paths_(paths), scope_(scope), meter_(meter), reporter_(reporter), runtime_bytes_(meter.InUseBytes()), limit_(meter.LimitBytes()), setup_(Prepare()),
        setup_peak_(meter.PeakBytes()), job_features_(setup_, paths, files, reporter_), no_features_(setup_, WithoutCache(paths), files, reporter_),
        keeper_(files, paths.output_dir, setup_.fixed_files, reporter_), train_sizes_(setup_, examples::Split::kTrain), evaluation_sizes_(setup_, setup_.evaluation_split) {}

  ProbeReport Run() {
    const TrainingPlan& plan = *setup_.plan;
    const int phases = static_cast<int>(plan.phases().size());
    std::vector<int64_t> learning;
    for (const PlannedPhase& phase : plan.phases()) learning.push_back(LearningValues(setup_, phase.index));
    const std::vector<double> costs = StepCosts(setup_, spec_, !paths_.feature_cache_dir.empty());
    int largest = 0;
    for (int phase = 1; phase < phases; ++phase) {
      if (std::pair(learning[phase], costs[phase]) > std::pair(learning[largest], costs[largest])) largest = phase;
    }
    ProbeContext context{spec_, paths_, setup_, job_features_, no_features_, keeper_, meter_, train_sizes_, evaluation_sizes_, limit_, [this] { CheckStop(); }, scope_ == ProbeScope::kMemory};
    std::vector<PhaseFindings> found(static_cast<size_t>(phases));
    std::vector<PhaseWork> work(static_cast<size_t>(phases));
    for (int phase = 0; phase < phases; ++phase) work[phase] = WorkOf(phase, costs[phase]);
    context.may_reload = MayReload(work);
    for (const int phase : PhasesToMeasure(phases, largest, kMeasuredPhases)) {
      found[phase] = PhaseProbe(context, phase).Run();
      Take(found[phase], work[phase]);
    }
    return Report(found, std::move(work), learning, largest);
  }

 private:
  static JobPaths WithoutCache(JobPaths paths) {
    paths.feature_cache_dir.clear();
    return paths;
  }

  JobSetup Prepare() {
    meter_.ResetPeak();
    return SetUp(spec_, paths_, reporter_);
  }

  void CheckStop() {
    if (reporter_.Stop() != StopRequest::kNone) throw Stopped();
  }

  PhaseWork WorkOf(int phase, double cost) const {
    const PlannedPhase& planned = setup_.plan->phases()[phase];
    PhaseWork work;
    work.steps = planned.steps;
    work.cost_of_step = cost;
    if (spec_.lr_range_test.enabled) return work;
    const bool evaluates = setup_.rows(setup_.evaluation_split) > 0;
    for (int64_t done = 1; done <= planned.steps; ++done) {
      const bool evaluated = evaluates && setup_.plan->EvaluationDue(phase, done, planned.first_step + done);
      work.evaluations += evaluated;
      work.checkpoints += evaluated || setup_.plan->CheckpointDue(phase, done, planned.first_step + done);
    }
    return work;
  }

  void Take(const PhaseFindings& found, PhaseWork& work) {
    work.measured = found.step_seconds > 0;
    work.seconds_per_step = found.step_seconds;
    work.spread = found.spread;
    work.table_seconds = found.table_seconds;
    work.seconds_per_evaluation = found.evaluation_seconds;
    const double cost = found.copy_seconds + found.write_seconds;
    if (spec_.save_steps == 0) work.save_interval_seconds = absl::ToDoubleSeconds(CheckpointInterval::After(absl::Seconds(cost)));
    if (cost > checkpoint_.copy_seconds + checkpoint_.write_seconds) checkpoint_ = {found.copy_seconds, found.write_seconds};
    if (found.forward_seconds_per_unit > 0) forward_seconds_per_unit_ = found.forward_seconds_per_unit;
  }

  // Before the test split a job whose best checkpoint is not its last one loads it.
  bool MayReload(const std::vector<PhaseWork>& work) const {
    int64_t evaluations = 0;
    for (const PhaseWork& phase : work) evaluations += phase.evaluations;
    return evaluations > 1 && setup_.rows(examples::Split::kTest) > 0;
  }

  // Pages of mapped files that the job touches and the probe has not: those of images. Texts were read for their lengths.
  int64_t MappedBytes(const PhaseFindings& found) const {
    if (!meter_.CountsFiles()) return 0;
    if (train_sizes_.texts()) return found.table_bytes;
    const double bytes = static_cast<double>(FileSize(paths_.dataset_dir + "/rows.bin").value_or(0));
    double all = 0, touched = 0;
    for (const examples::Split split : {examples::Split::kTrain, examples::Split::kValidation, examples::Split::kTest}) all += static_cast<double>(setup_.rows(split));
    touched += std::min<double>(static_cast<double>(setup_.rows(examples::Split::kTrain)), static_cast<double>(setup_.plan->total_steps()) * spec_.batch_size * spec_.accumulation);
    touched += static_cast<double>(setup_.rows(setup_.evaluation_split));
    const double row = bytes / std::max(all, 1.0);
    return found.table_bytes + static_cast<int64_t>(std::min(bytes, touched * std::max(row, kMappedAround)));
  }

  ProbeReport Report(const std::vector<PhaseFindings>& found, std::vector<PhaseWork> work, const std::vector<int64_t>& learning, int largest) const {
    ProbeReport report;
    report.device = setup_.device.str();
    report.threads = spec_.threads;
    report.memory_limit = limit_;
    report.total_steps = setup_.plan->total_steps();
    const PhaseFindings& most = found[largest];
    int64_t with_files = setup_peak_;
    report.largest_batch = spec_.batch_size;
    for (const PhaseFindings& each : found) {
      if (each.peak_bytes == 0) continue;  // not measured
      with_files = std::max({with_files, each.needed_bytes + MappedBytes(each), each.reload_peak_bytes});
      report.largest_batch = std::min(report.largest_batch, each.largest_batch);
      report.checkpoint_bytes = std::max(report.checkpoint_bytes, each.checkpoint_bytes);
    }
    if (setup_.replay != nullptr && report.largest_batch < 2) report.largest_batch = 0;
    report.fits = report.largest_batch == spec_.batch_size;  // whatever is mapped besides: its pages give way when memory is short
    report.memory = {.peak = with_files, .runtime = runtime_bytes_, .gradients = most.gradients_bytes, .optimizer = most.optimizer_bytes};
    for (const NamedTensor& named : setup_.headed.tensors()) report.memory.parameters += static_cast<int64_t>(named.tensor.nbytes());
    report.memory.activations =
        std::max<int64_t>(0, with_files - runtime_bytes_ - report.memory.parameters - report.memory.gradients - report.memory.optimizer);
    report.accumulation = static_cast<int>(AccumulationFor(spec_.batch_size, spec_.accumulation, report.largest_batch));
    if (scope_ == ProbeScope::kMemoryAndTime) AddTime(std::move(work), learning, report);
    return report;
  }

  void AddTime(std::vector<PhaseWork> work, const std::vector<int64_t>& learning, ProbeReport& report) const {
    double test = 0;
    if (!spec_.lr_range_test.enabled) {
      double forward = forward_seconds_per_unit_;
      if (forward == 0) {
        for (const PhaseWork& phase : work) forward = std::max(forward, kForwardShare * phase.seconds_per_step / (train_sizes_.mean() * spec_.batch_size * spec_.accumulation));
      }
      test = forward * static_cast<double>(setup_.rows(examples::Split::kTest)) * evaluation_sizes_.mean() * spec_.test_views;
    }
    const TimeEstimate estimate = EstimateJob(work, checkpoint_, spec_.threads, test);
    for (size_t phase = 0; phase < work.size(); ++phase) {
      report.phases.push_back({setup_.plan->phases()[phase].name, work[phase].steps, estimate.seconds_per_step[phase], estimate.seconds[phase], learning[phase]});
    }
    report.seconds = estimate.total_seconds;
    report.low_seconds = estimate.low_seconds;
    report.high_seconds = estimate.high_seconds;
  }

  const FineTuneSpec& spec_;
  const JobPaths& paths_;
  const ProbeScope scope_;
  MemoryMeter& meter_;
  ForwardingReporter reporter_;
  const int64_t runtime_bytes_, limit_;
  JobSetup setup_;
  const int64_t setup_peak_;
  FeatureCache job_features_, no_features_;
  CheckpointKeeper keeper_;
  const RowSizes train_sizes_, evaluation_sizes_;
  CheckpointCost checkpoint_;
  double forward_seconds_per_unit_ = 0;
};

}  // namespace

std::optional<ProbeReport> ProbeJob(const FineTuneSpec& spec, const JobPaths& paths, MemoryMeter& meter, JobReporter& reporter, Files& files, ProbeScope scope) {
  try {
    return JobProbe(spec, paths, meter, reporter, files, scope).Run();
  } catch (const Stopped&) {
    return std::nullopt;
  }
}

}  // namespace attune::training
