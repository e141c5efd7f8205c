#include "server/training/recipes/probe/phase_probe.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <numeric>
#include <utility>

#include <ATen/core/grad_mode.h>

#include "server/training/input/prefetcher.h"
#include "server/training/recipes/training_batches.h"
#include "server/training/steps/evaluate.h"
#include "server/training/steps/out_of_memory.h"
#include "server/training/steps/plan/checkpoint_interval.h"
#include "server/training/steps/plan/job_estimate.h"
#include "server/training/steps/precision.h"
#include "server/training/steps/train_loop.h"

namespace attune::training {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int64_t kSampledBatches = 6;     // of a forward pass that is timed
constexpr double kWarmUpSeconds = 3, kStepsSeconds = 1.5, kMostStepsSeconds = 10;
constexpr int64_t kSteps = 5, kFewestSteps = 3;
constexpr int kMostRounds = 20;            // over a phase that has fewer steps than are timed

double SecondsSince(SteadyClock::time_point start) { return std::chrono::duration<double>(SteadyClock::now() - start).count(); }

int64_t Bytes(const std::vector<NamedTensor>& tensors) {
  int64_t bytes = 0;
  for (const NamedTensor& named : tensors) bytes += static_cast<int64_t>(named.tensor.nbytes());
  return bytes;
}

int64_t GradientBytes(const std::vector<Parameter>& parameters) {
  int64_t bytes = 0;
  for (const Parameter& parameter : parameters) {
    if (parameter.tensor.grad().defined()) bytes += static_cast<int64_t>(parameter.tensor.grad().nbytes());
  }
  return bytes;
}

std::vector<int64_t> InOrder(int64_t begin, int64_t end) {
  std::vector<int64_t> rows;
  for (int64_t row = begin; row < end; ++row) rows.push_back(row);
  return rows;
}

}  // namespace

double PhaseProbe::Timed::typical() const {
  if (per_unit.empty()) return 0;
  std::vector<double> values = per_unit;
  std::sort(values.begin(), values.end());
  if (values.size() > 2) values.back() = values[values.size() - 2];
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

PhaseProbe::PhaseProbe(ProbeContext& context, int phase)
    : context_(context), phase_(phase), planned_(context.setup.plan->phases()[phase]), phase_spec_(context.spec.phases[planned_.index]), batches_(context.setup, context.spec),
      heaviest_(std::make_unique<HeaviestBatches>(context.train_sizes.Cut(batches_.Orders(phase)))) {}

PhaseProbe::~PhaseProbe() = default;

void PhaseProbe::NotePeak() { found_.peak_bytes = std::max(found_.peak_bytes, context_.meter.PeakBytes()); }

int64_t PhaseProbe::OwnRows(int64_t batch_size) const {
  if (context_.setup.replay == nullptr) return batch_size;
  return batch_size < 2 ? 1 : batch_size - ReplayRows(batch_size, context_.spec.replay_fraction);
}

std::vector<int64_t> PhaseProbe::LargestRows(int64_t batch_size) const { return heaviest_->Rows(OwnRows(batch_size)); }

double PhaseProbe::LargestUnits(int64_t batch_size) const { return static_cast<double>(heaviest_->Tokens(OwnRows(batch_size))); }

PhaseProbe::Timed PhaseProbe::TimePrefix(examples::Split split, int groups) {
  const RowSizes& sizes = split == examples::Split::kTrain ? context_.train_sizes : context_.evaluation_sizes;
  const std::vector<int64_t> rows = InOrder(0, std::min(context_.setup.rows(split), kSampledBatches * kPrefixBatch));
  const std::unique_ptr<BatchSource> batches = batches_.Chosen(split, rows, kPrefixBatch, /*plain=*/true);
  const int threads = context_.setup.input->loader_threads(context_.setup.threads);
  at::NoGradGuard no_grad;
  Timed timed;
  double first_units = 0;
  Prefetcher loader([&](int64_t i) { return batches->Make(0, i); }, 0, batches->batches_per_epoch(), {.depth = 2 * threads + 2, .threads = threads});
  auto start = SteadyClock::now();
  while (const std::optional<Batch> batch = loader.Next()) {
    context_.check_stop();
    AutocastGuard autocast(context_.setup.device, context_.setup.precision);
    const at::Tensor output = context_.setup.headed.model->Prefix(ToDevice(*batch, context_.setup.device), groups).to(at::kCPU, at::kFloat);
    row_bytes_ = output.numel() / batch->rows * static_cast<int64_t>(sizeof(float));
    const double units = sizes.texts() ? static_cast<double>(batch->text.tokens) : static_cast<double>(batch->rows);
    if (timed.per_unit.empty()) first_units = units;
    timed.per_unit.push_back(SecondsSince(start) / units);
    start = SteadyClock::now();
  }
  // The first batch waits for its rows and for kernels that are made when they are first needed. A job pays that once, however many rows it has.
  if (timed.per_unit.size() > 1) {
    const double first = timed.per_unit.front();
    timed.per_unit.erase(timed.per_unit.begin());
    timed.start_seconds = std::max(0.0, first - timed.typical()) * first_units;
  }
  return timed;
}

void PhaseProbe::Steps(const BatchSource& batches, const TrainingPlan& plan, int phase, const AfterStep& after_step) {
  LoopPhase loop;
  loop.phase = phase;
  loop.rate = [](int64_t) { return 0.0; };  // what is frozen later on must be the base model's
  loop.train_batch_norm = phase_spec_.train_batch_norm;
  LoopOptions options = LoopOptionsOf(context_.setup, context_.spec);
  options.divergence_ends = true;
  LoopCallbacks callbacks;
  callbacks.stop_requested = [this] {
    context_.check_stop();
    return false;
  };
  callbacks.after_step = [&](const StepReport& report) {
    if (average_.has_value()) average_->Update(++steps_);
    return after_step(report.seconds, report.rows, report.tokens);
  };
  callbacks.divided = [](int64_t, int) { throw std::bad_alloc(); };  // that the rows do not fit is what is asked
  UseAdapters(context_.setup, callbacks);
  callbacks.before_update = [this, inner = std::move(callbacks.before_update)] {
    found_.gradients_bytes = std::max(found_.gradients_bytes, GradientBytes(context_.setup.headed.parameters()));
    inner();
  };
  RunPhase(*context_.setup.headed.model, *context_.setup.headed.task, *optimizer_, batches, plan, loop, options, callbacks);
}

void PhaseProbe::LargestStep(int64_t batch_size) {
  const std::vector<int64_t> largest = LargestRows(batch_size);
  const int64_t own = static_cast<int64_t>(largest.size());
  // Gradients that wait for a step's second batch are there during its pass.
  const int64_t batches = std::min(context_.spec.accumulation, 2);
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < batches; ++i) rows.insert(rows.end(), largest.begin(), largest.end());
  const bool plain = !phase_spec_.augment;
  std::unique_ptr<BatchSource> source = train_use_.groups > 0 ? batches_.WithPrefix(examples::Split::kTrain, rows, own, plain, train_use_.groups)
                                                              : batches_.Chosen(examples::Split::kTrain, std::move(rows), own, plain);
  if (context_.setup.replay != nullptr && batch_size > own) {
    source = WithReplay(context_.setup, std::move(source), context_.spec, phase_spec_.augment, batch_size - own);
  }
  PhaseSpec one_step = phase_spec_;
  one_step.n_epochs = 0;
  one_step.max_steps = 1;
  const TrainingPlan plan({one_step}, {.rows = own * batches, .batch_size = own, .accumulation = batches});
  Steps(*source, plan, 0, [](double, int64_t, int64_t) { return true; });
}

void PhaseProbe::Grow() {
  const int64_t batch_size = context_.spec.batch_size;
  // The copy for checkpoints comes on top, later.
  const double reserve = static_cast<double>(Bytes(context_.setup.headed.tensors()) + found_.optimizer_bytes);
  const double limit = context_.memory_limit > 0 ? std::max(1.0, static_cast<double>(context_.memory_limit) - reserve) : 0;
  std::vector<MemoryPoint> points;
  for (int64_t rows = context_.setup.replay != nullptr ? 2 : 1;; rows = std::min(2 * rows, batch_size)) {
    const double units = LargestUnits(rows);
    if (limit > 0 && !points.empty() && std::max(FitMemory(points).At(units), points.back().bytes) > limit) break;
    context_.meter.ResetPeak();
    try {
      LargestStep(rows);
      if (points.empty()) LargestStep(rows);  // from the second step on the optimizer's state is there
    } catch (const std::exception& error) {
      if (!IsOutOfMemory(error)) throw;
      optimizer_->ClearGradients();
      break;
    }
    points.push_back({units, static_cast<double>(context_.meter.PeakBytes())});
    found_.fitted_batch = rows;
    NotePeak();
    if (rows >= batch_size) break;
  }
  if (points.empty()) points.push_back({1, static_cast<double>(context_.meter.PeakBytes())});
  found_.fit = FitMemory(points);
}

PhaseProbe::Timed PhaseProbe::OrdinarySteps(int64_t batch_size) {
  JobSetup& setup = context_.setup;
  FineTuneSpec spec = context_.spec;
  std::optional<TrainingPlan> smaller;
  if (batch_size < spec.batch_size) {
    spec.accumulation = static_cast<int>(AccumulationFor(spec.batch_size, spec.accumulation, batch_size));
    spec.batch_size = context_.spec.batch_size * context_.spec.accumulation / spec.accumulation;
    if (setup.replay != nullptr) spec.batch_size = std::max(spec.batch_size, 2);
    smaller.emplace(spec.phases, PlanOptions{.rows = setup.rows(examples::Split::kTrain), .batch_size = OwnBatchSize(spec), .accumulation = spec.accumulation,
                                             .max_steps = spec.max_steps, .eval_steps = spec.eval_steps, .save_steps = spec.save_steps});
  }
  const TrainingPlan& plan = smaller.has_value() ? *smaller : *setup.plan;
  std::unique_ptr<BatchSource> batches;
  if (train_use_.groups > 0) {
    std::vector<int64_t> rows = batches_.Orders(phase_)[0];
    rows.resize(std::min<size_t>(rows.size(), 3 * static_cast<size_t>(spec.batch_size)));
    batches = batches_.WithPrefix(examples::Split::kTrain, rows, spec.batch_size, /*plain=*/true, train_use_.groups);
  } else {
    batches = TrainingBatches(setup, context_.no_features, spec, phase_, [] { return false; });
  }
  const int threads = setup.input->loader_threads(setup.threads);
  const int64_t prefetched = train_use_.groups > 0 ? 1 : 2 * threads + 2;  // until then batches come faster than they are made, or slower
  const auto start = SteadyClock::now();
  Timed timed;
  int64_t done = 0;
  for (int round = 0; round < kMostRounds && static_cast<int64_t>(timed.per_unit.size()) < kFewestSteps; ++round) {
    Steps(*batches, plan, phase_, [&](double seconds, int64_t rows, int64_t tokens) {
      const bool warm = ++done * spec.accumulation > prefetched || (done > 1 && SecondsSince(start) > kWarmUpSeconds) || round > 0;
      if (!warm) return true;
      const double units = static_cast<double>(tokens > 0 && setup.replay == nullptr ? tokens : rows);
      timed.seconds += seconds;
      timed.per_unit.push_back(seconds / units);
      const int64_t steps = static_cast<int64_t>(timed.per_unit.size());
      return !((steps >= kSteps && timed.seconds >= kStepsSeconds) || (steps >= 2 && SecondsSince(start) > kMostStepsSeconds));
    });
    if (SecondsSince(start) > kMostStepsSeconds && !timed.per_unit.empty()) break;
  }
  return timed;
}

void PhaseProbe::Evaluate() {
  JobSetup& setup = context_.setup;
  const examples::Split split = setup.evaluation_split;
  const int64_t rows = setup.rows(split);
  if (rows == 0 || context_.spec.lr_range_test.enabled) return;
  const int64_t batch_size = context_.spec.eval_batch_size;
  // The largest batch first: it decides how much memory evaluations need.
  std::vector<int64_t> chosen = context_.evaluation_sizes.Cut({InOrder(0, rows)}).Rows(batch_size);
  if (static_cast<int64_t>(chosen.size()) < rows && !context_.memory_only) {
    for (int64_t row = 0; row < std::min(rows, (kSampledBatches - 1) * batch_size); ++row) chosen.push_back(row);
  }
  std::unique_ptr<BatchSource> batches;
  double prefix = 0;
  if (evaluation_use_.groups > 0) {
    if (prefix_seconds_per_unit_ == 0) prefix_seconds_per_unit_ = TimePrefix(split, evaluation_use_.groups).typical();
    prefix = prefix_seconds_per_unit_;
    batches = batches_.WithPrefix(split, chosen, batch_size, /*plain=*/true, evaluation_use_.groups);
    found_.table_bytes += rows * row_bytes_;
  } else {
    batches = batches_.Chosen(split, chosen, batch_size, /*plain=*/true);
  }
  double units = 0;
  const EvaluateOptions options = {setup.device, setup.precision, setup.input->loader_threads(setup.threads)};
  const auto start = SteadyClock::now();
  const auto stop = [&] {
    context_.check_stop();
    return units > 0 && SecondsSince(start) > kMostStepsSeconds;
  };
  if (average_.has_value()) average_->Swap();
  RunBatches(*setup.headed.model, *setup.headed.task, *batches, options, stop,
             [&](const Batch& batch, const at::Tensor&) { units += context_.evaluation_sizes.Of(batch.example_indices); });
  if (average_.has_value()) average_->Swap();
  const double per_unit = SecondsSince(start) / units;
  const double of_split = static_cast<double>(rows) * context_.evaluation_sizes.mean();
  found_.evaluation_seconds = per_unit * of_split;
  found_.forward_seconds_per_unit = per_unit + prefix;
  found_.table_seconds += prefix * of_split * static_cast<double>(evaluation_use_.tables - evaluation_use_.known);
}

void PhaseProbe::Save() {
  if (context_.spec.lr_range_test.enabled) return;
  SaveRequest request;
  request.tensors = average_.has_value() ? average_->Averaged(context_.setup.headed.tensors()) : context_.setup.headed.tensors();
  request.optimizer = ResumeTensors(context_.setup, *optimizer_);
  if (average_.has_value()) {
    for (NamedTensor& raw : average_->Raw()) request.optimizer.push_back(std::move(raw));
  }
  request.state.step = phase_ + 1;
  request.required = true;
  const auto start = SteadyClock::now();
  context_.keeper.Save(request);
  found_.copy_seconds = SecondsSince(start);
  context_.keeper.Settle();
  found_.write_seconds = SecondsSince(start) - found_.copy_seconds;
  const std::string directory = context_.keeper.PathOf(request.state.step);
  const auto names = ListDirectory(directory);
  if (!names.ok()) return;
  for (const std::string& name : *names) found_.checkpoint_bytes += FileSize(directory + "/" + name).value_or(0);
}

void PhaseProbe::ReloadBest() {
  context_.meter.ResetPeak();
  LoadTensors(context_.setup.headed.tensors(), context_.keeper.PathOf(phase_ + 1) + "/" + kModelFile);
  found_.reload_peak_bytes = context_.meter.PeakBytes();
}

bool PhaseProbe::StepsFollowACheckpoint() const {
  if (context_.spec.lr_range_test.enabled) return false;
  if (context_.memory_only) return true;
  if (found_.step_seconds * static_cast<double>(planned_.steps) > absl::ToDoubleSeconds(CheckpointInterval::After(absl::ZeroDuration()))) return true;
  return context_.setup.plan->SavesWithin(phase_, 0, /*evaluates=*/found_.evaluation_seconds > 0);
}

void PhaseProbe::Conclude() {
  const int64_t batch_size = context_.spec.batch_size;
  const double limit = static_cast<double>(context_.memory_limit);
  found_.needed_bytes = found_.peak_bytes;
  if (found_.fitted_batch < batch_size) found_.needed_bytes = std::max(found_.needed_bytes, static_cast<int64_t>(found_.fit.At(LargestUnits(batch_size))));
  if (found_.fitted_batch == batch_size && (limit == 0 || static_cast<double>(found_.needed_bytes) <= limit)) {
    found_.largest_batch = batch_size;
  } else if (found_.fitted_batch > 0) {
    found_.largest_batch = LargestBatch(found_.fit, limit, batch_size - 1, [this](int64_t rows) { return LargestUnits(rows); });
  }
}

void PhaseProbe::TimeSteps() {
  const JobSetup& setup = context_.setup;
  const Timed steps = OrdinarySteps(found_.fitted_batch);
  const double rows = static_cast<double>(setup.rows(examples::Split::kTrain));
  const double units_of_epoch = setup.replay == nullptr ? rows * context_.train_sizes.mean()
                                                        : rows + static_cast<double>(setup.plan->batches_per_epoch() * setup.replay->rows_per_batch);
  found_.step_seconds = steps.typical() * units_of_epoch / static_cast<double>(setup.plan->steps_per_epoch());
  found_.spread = RelativeSpread(steps.per_unit);
}

PhaseFindings PhaseProbe::Run() {
  JobSetup& setup = context_.setup;
  context_.check_stop();
  context_.meter.ResetPeak();
  optimizer_ = SetUpPhase(setup, context_.spec, planned_.index);
  found_.trainable_parameters = optimizer_->parameter_count();
  found_.optimizer_bytes = Bytes(optimizer_->State());
  context_.job_features.BeginPhase();
  context_.no_features.BeginPhase();
  const FeatureRequest training = TrainingRequest(setup, context_.spec, phase_);
  train_use_ = context_.job_features.Use(training);
  const int64_t evaluated = context_.spec.lr_range_test.enabled ? 0 : setup.rows(setup.evaluation_split);
  if (evaluated > 0) evaluation_use_ = context_.job_features.Use({.split = setup.evaluation_split, .rows = {.rows = evaluated, .seed = context_.spec.seed, .shuffle = false}});
  if (train_use_.groups == context_.kept_groups) train_use_.known = train_use_.tables;
  if (evaluation_use_.groups == context_.kept_evaluation_groups) evaluation_use_.known = evaluation_use_.tables;
  context_.kept_groups = train_use_.groups;
  context_.kept_evaluation_groups = evaluation_use_.groups;
  context_.meter.ResetPeak();  // tables that are known were read
  if (train_use_.groups > 0) {
    const Timed prefix = TimePrefix(examples::Split::kTrain, train_use_.groups);
    prefix_seconds_per_unit_ = prefix.typical();
    found_.table_bytes = train_use_.tables * training.rows.rows * row_bytes_;
    if (found_.table_bytes > context_.paths.feature_cache_bytes) {
      train_use_ = {};
      found_.table_bytes = 0;
    }
    const int64_t tables = train_use_.tables - train_use_.known;
    if (tables > 0) found_.table_seconds = prefix.start_seconds + static_cast<double>(tables) * prefix.typical() * context_.train_sizes.mean() * static_cast<double>(training.rows.rows);
  }
  if (context_.spec.ema_decay > 0) average_.emplace(MovingTensors(setup.headed), context_.spec.ema_decay);
  Grow();
  if (found_.fitted_batch > 0) {
    if (!context_.memory_only) TimeSteps();
    Evaluate();
    Save();
    NotePeak();
    if (StepsFollowACheckpoint()) {
      context_.meter.ResetPeak();
      LargestStep(found_.fitted_batch);
      const double with_copy = static_cast<double>(context_.meter.PeakBytes());
      found_.fit.base_bytes += std::max(0.0, with_copy - found_.fit.At(LargestUnits(found_.fitted_batch)));
      NotePeak();
    }
  }
  if (context_.may_reload && found_.checkpoint_bytes > 0 && phase_ + 1 == static_cast<int>(setup.plan->phases().size())) ReloadBest();
  Conclude();
  return found_;
}

}  // namespace attune::training
