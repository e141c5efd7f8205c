#include "server/training/worker/convert.h"

#include <algorithm>
#include <cstdlib>

namespace attune::training {
namespace {

std::string TaskName(v1::Task task) {
  switch (task) {
    case v1::TASK_TEXT_MULTI_LABEL:
      return "text-multi-label";
    case v1::TASK_TEXT_REGRESSION:
      return "text-regression";
    case v1::TASK_IMAGE_CLASSIFICATION:
      return "image-classification";
    case v1::TASK_IMAGE_MULTI_LABEL:
      return "image-multi-label";
    case v1::TASK_IMAGE_REGRESSION:
      return "image-regression";
    default:
      return "text-classification";
  }
}

HeadActivation FromProto(v1::Activation activation) {
  switch (activation) {
    case v1::ACTIVATION_GELU:
      return HeadActivation::kGelu;
    case v1::ACTIVATION_TANH:
      return HeadActivation::kTanh;
    case v1::ACTIVATION_SILU:
      return HeadActivation::kSilu;
    default:
      return HeadActivation::kRelu;
  }
}

static_assert(static_cast<int>(architectures::Pooling::kFirstToken) == v1::POOLING_FIRST_TOKEN && static_cast<int>(architectures::Pooling::kMean) == v1::POOLING_MEAN &&
              static_cast<int>(architectures::Pooling::kMax) == v1::POOLING_MAX);

// The effective spec of an image job has one; a text job's has none, and nothing is augmented.
AugmentationSpec FromProto(const v1::AugmentationSpec& augmentation) {
  AugmentationSpec out;
  out.enabled = augmentation.enabled();
  if (!out.enabled) return out;
  out.crop_scale_min = augmentation.has_crop_scale_min() ? augmentation.crop_scale_min() : 0.4;
  out.horizontal_flip = augmentation.has_horizontal_flip() ? augmentation.horizontal_flip() : 0.5;
  out.brightness = augmentation.brightness();
  out.contrast = augmentation.contrast();
  out.saturation = augmentation.saturation();
  out.hue = augmentation.hue();
  if (augmentation.has_rand_augment()) {
    const v1::RandAugment& rand_augment = augmentation.rand_augment();
    out.rand_augment_operations = rand_augment.operations() > 0 ? rand_augment.operations() : 2;
    out.rand_augment_magnitude = rand_augment.magnitude() > 0 ? rand_augment.magnitude() : 9;
  }
  out.mixup_alpha = augmentation.mixup_alpha();
  out.cutmix_alpha = augmentation.cutmix_alpha();
  out.cached_views = augmentation.cached_views();
  return out;
}

LoraSpec LoraFromProto(const v1::FineTuningSpec& spec) {
  LoraSpec out;
  out.enabled = spec.has_lora();
  if (spec.lora().r() > 0) out.rank = spec.lora().r();
  if (spec.lora().alpha() > 0) out.alpha = spec.lora().alpha();
  out.target_modules = {spec.lora().target_modules().begin(), spec.lora().target_modules().end()};
  return out;
}

TrainableSpec FromProto(const v1::Trainable& trainable) {
  TrainableSpec out;
  switch (trainable.base_case()) {
    case v1::Trainable::kHeadOnly:
      out.base = TrainableSpec::Base::kHeadOnly;
      break;
    case v1::Trainable::kLastNGroups:
      out.base = TrainableSpec::Base::kLastNGroups;
      out.last_n_groups = trainable.last_n_groups();
      break;
    case v1::Trainable::kPatterns:
      out.base = TrainableSpec::Base::kPatterns;
      out.patterns = {trainable.patterns().patterns().begin(), trainable.patterns().patterns().end()};
      break;
    case v1::Trainable::kAll:
    case v1::Trainable::BASE_NOT_SET:
      out.base = TrainableSpec::Base::kAll;
      break;
  }
  out.freeze = {trainable.freeze().begin(), trainable.freeze().end()};
  return out;
}

PhaseSpec FromProto(const v1::Phase& phase, const v1::Hyperparameters& h) {
  PhaseSpec out;
  out.name = phase.name();
  switch (phase.until_case()) {
    case v1::Phase::kNEpochs:
      out.n_epochs = phase.n_epochs();
      break;
    case v1::Phase::kMaxSteps:
      out.max_steps = phase.max_steps();
      break;
    case v1::Phase::kPlateau:
      out.n_epochs = phase.plateau().max_epochs() > 0 ? phase.plateau().max_epochs() : 20;
      out.plateau_patience = phase.plateau().patience() > 0 ? phase.plateau().patience() : 2;
      break;
    case v1::Phase::UNTIL_NOT_SET:
      out.n_epochs = h.has_n_epochs() ? h.n_epochs() : 3;
      break;
  }
  out.trainable = FromProto(phase.trainable());
  const double multiplier = h.has_learning_rate_multiplier() ? h.learning_rate_multiplier() : 1;
  const double rate = phase.has_learning_rate() ? phase.learning_rate() : h.has_learning_rate() ? h.learning_rate() : 5e-5;
  out.learning_rate = rate * multiplier;
  out.layer_decay = phase.has_layer_decay() ? phase.layer_decay() : 1;
  for (const auto& [name, rate] : phase.group_rates()) out.group_rates[name] = rate;
  out.warmup_steps = h.has_warmup_steps() ? h.warmup_steps() : -1;
  out.warmup_ratio = h.has_warmup_ratio() ? h.warmup_ratio() : 0.06;
  out.train_batch_norm = phase.batch_norm() != v1::BATCH_NORM_FROZEN;
  out.augment = phase.has_augment() ? phase.augment() : out.trainable.base != TrainableSpec::Base::kHeadOnly;
  return out;
}

OptimizerSpec OptimizerFromProto(const v1::Hyperparameters& h) {
  OptimizerSpec out;
  out.kind = h.optimizer() == v1::OPTIMIZER_SGD ? OptimizerKind::kSgd : OptimizerKind::kAdamW;
  if (h.has_weight_decay()) out.weight_decay = h.weight_decay();
  if (h.has_adam_beta1()) out.beta1 = h.adam_beta1();
  if (h.has_adam_beta2()) out.beta2 = h.adam_beta2();
  if (h.has_adam_epsilon()) out.epsilon = h.adam_epsilon();
  if (h.has_momentum()) out.momentum = h.momentum();
  if (h.has_max_grad_norm()) out.max_grad_norm = h.max_grad_norm();
  return out;
}

ClassBalance FromProto(v1::ClassBalance balance) {
  switch (balance) {
    case v1::CLASS_BALANCE_WEIGHTED_LOSS:
      return ClassBalance::kWeightedLoss;
    case v1::CLASS_BALANCE_BALANCED_SAMPLING:
      return ClassBalance::kBalancedSampling;
    default:
      return ClassBalance::kNone;
  }
}

ScheduleKind FromProto(v1::LrSchedulerType type) {
  switch (type) {
    case v1::LR_SCHEDULER_TYPE_COSINE:
      return ScheduleKind::kCosine;
    case v1::LR_SCHEDULER_TYPE_CONSTANT:
      return ScheduleKind::kConstant;
    default:
      return ScheduleKind::kLinear;
  }
}

v1::FailureInfo::Category ToProto(FailureCategory category) {
  switch (category) {
    case FailureCategory::kUser:
      return v1::FailureInfo::CATEGORY_USER;
    case FailureCategory::kData:
      return v1::FailureInfo::CATEGORY_DATA;
    case FailureCategory::kResource:
      return v1::FailureInfo::CATEGORY_RESOURCE;
    case FailureCategory::kSystem:
      break;
  }
  return v1::FailureInfo::CATEGORY_SYSTEM;
}

// Of a warm start with all of a checkpoint, whose name the server has resolved to a step.
int64_t BeginsAfter(const v1::WarmStart& warm_start) {
  if (warm_start.part() != v1::WarmStart::PART_ALL) return 0;
  return std::strtoll(warm_start.checkpoint().c_str() + warm_start.checkpoint().rfind('/') + 1, nullptr, 10);
}

template <typename Map>
void CopyValues(const std::map<std::string, double>& values, Map& out) {
  for (const auto& [name, value] : values) out[name] = value;
}

}  // namespace

AttemptFence FromProto(const worker::v1::Fence& fence) { return {fence.job(), fence.attempt()}; }

FineTuneSpec FromProto(const v1::FineTuningSpec& spec) {
  const v1::Hyperparameters& h = spec.hyperparameters();
  FineTuneSpec out;
  out.base_model = spec.base_model();
  out.begins_after = BeginsAfter(spec.warm_start());
  out.task = TaskName(spec.task());
  out.head_dropout = spec.head().has_dropout() ? spec.head().dropout() : -1;
  out.head_hidden_sizes = {spec.head().hidden_sizes().begin(), spec.head().hidden_sizes().end()};
  out.head_activation = FromProto(spec.head().activation());
  out.head_pooling = static_cast<architectures::Pooling>(spec.head().pooling());
  for (const v1::Phase& phase : spec.phases()) out.phases.push_back(FromProto(phase, h));
  out.max_steps = h.max_steps();
  if (h.has_batch_size()) out.batch_size = h.batch_size();
  if (h.has_gradient_accumulation_steps()) out.accumulation = h.gradient_accumulation_steps();
  out.eval_batch_size = spec.evaluation().has_eval_batch_size() ? spec.evaluation().eval_batch_size() : 2 * out.batch_size;
  if (h.has_max_length()) out.max_length = h.max_length();
  out.image_size = h.image_size();
  out.augmentation = FromProto(spec.augmentation());
  out.lora = LoraFromProto(spec);
  out.lr_range_test = {spec.has_lr_range_test(), spec.lr_range_test().min_learning_rate(), spec.lr_range_test().max_learning_rate()};
  out.replay_fraction = spec.replay().fraction();
  out.schedule = FromProto(h.lr_scheduler_type());
  out.optimizer = OptimizerFromProto(h);
  out.label_smoothing = h.label_smoothing();
  out.class_balance = FromProto(h.class_balance());
  for (const auto& [name, weight] : h.class_weights()) out.class_weights[name] = weight;
  out.l2_sp = h.l2_sp();
  out.ema_decay = h.ema_decay();
  out.early_stopping_patience = h.early_stopping_patience();
  out.eval_steps = spec.evaluation().eval_steps();
  out.save_steps = spec.checkpointing().save_steps();
  if (spec.checkpointing().has_keep_last()) out.keep_last = spec.checkpointing().keep_last();
  out.best_metric = spec.evaluation().metric_for_best_model();
  out.test_views = std::max(1, spec.evaluation().test_views());
  out.eval_split = spec.evaluation().split() == v1::SPLIT_TEST ? "test" : "validation";
  if (spec.has_seed()) out.seed = spec.seed();
  out.precision = spec.precision() == v1::PRECISION_BF16 ? Precision::kBf16 : Precision::kFp32;
  if (!spec.resources().device().empty()) out.device = spec.resources().device();
  if (spec.resources().has_threads()) out.threads = spec.resources().threads();
  return out;
}

AssignCommand FromProto(const worker::v1::Assign& assign) {
  FineTuneSpec spec = FromProto(assign.effective_spec());
  for (const v1::Adjustment& adjustment : assign.adjustments()) spec.adjustments.push_back(FromProto(adjustment));
  return {FromProto(assign.fence()), std::move(spec),
          JobPaths{assign.model_dir(), assign.dataset_dir(), assign.output_dir(), assign.resume_dir(), assign.feature_cache_dir(), assign.feature_cache_bytes(),
                   assign.replay_dataset_dir(), assign.warm_start_dir()},
          assign.trace_id()};
}

PredictCommand FromProto(const worker::v1::Predict& predict) {
  PredictCommand command{predict.request(), predict.checkpoint_dir(), {}, std::max(1, predict.views())};
  for (const v1::TextInput& input : predict.inputs()) command.inputs.push_back({.text = input.text(), .text_pair = input.text_pair()});
  for (const std::string& image : predict.images()) command.inputs.push_back({.image = image});
  return command;
}

worker::v1::Fence ToProto(const AttemptFence& fence) {
  worker::v1::Fence out;
  out.set_job(fence.job);
  out.set_attempt(fence.attempt);
  return out;
}

v1::JobProgress ToProto(const ProgressReport& report) {
  v1::JobProgress out;
  out.set_step(report.step);
  out.set_total_steps(report.total_steps);
  out.set_epoch(report.epoch);
  out.set_phase(report.phase);
  out.set_eta_seconds(report.eta_seconds);
  out.set_samples_per_second(report.samples_per_second);
  out.set_loss(report.loss);
  out.set_peak_memory_bytes(report.peak_memory_bytes);
  return out;
}

v1::MetricPoint ToProto(const MetricReport& report) {
  v1::MetricPoint out;
  out.set_step(report.step);
  out.set_epoch(report.epoch);
  out.set_phase(report.phase);
  CopyValues(report.values, *out.mutable_values());
  return out;
}

v1::Evaluation ToProto(const EvaluationReport& report) {
  v1::Evaluation out;
  out.set_step(report.step);
  out.set_split(report.split);
  out.set_rows(report.rows);
  CopyValues(report.values, *out.mutable_values());
  for (const ClassReport& each : report.classes) {
    v1::ClassFigures& figures = *out.add_classes();
    figures.set_label(each.label);
    figures.set_precision(each.precision);
    figures.set_recall(each.recall);
    figures.set_f1(each.f1);
    figures.set_support(each.support);
  }
  out.mutable_confusion_matrix()->Add(report.confusion.begin(), report.confusion.end());
  out.set_is_best(report.is_best);
  return out;
}

v1::PhaseStarted ToProto(const PhaseReport& report) {
  v1::PhaseStarted out;
  out.set_phase(report.phase);
  out.set_index(report.index);
  out.set_trainable_parameters(report.trainable_parameters);
  out.set_total_parameters(report.total_parameters);
  return out;
}

worker::v1::WorkDone ToProto(const WorkReport& report) {
  worker::v1::WorkDone out;
  out.set_steps(report.steps);
  out.set_samples(report.samples);
  out.set_tokens(report.tokens);
  out.set_step_seconds(report.step_seconds);
  out.set_input_wait_seconds(report.input_wait_seconds);
  out.set_feature_cache_hits(report.feature_cache_hits);
  out.set_feature_cache_misses(report.feature_cache_misses);
  return out;
}

worker::v1::CheckpointWritten ToProto(const CheckpointReport& report) {
  worker::v1::CheckpointWritten out;
  out.set_step(report.step);
  out.set_directory(report.directory);
  CopyValues(report.metrics, *out.mutable_metrics());
  out.set_is_best(report.is_best);
  out.set_seconds(report.seconds);
  return out;
}

worker::v1::Finished ToProto(const JobResult& result) {
  worker::v1::Finished out;
  out.set_cancelled(result.cancelled);
  out.set_best_step(result.best_step);
  if (result.has_test) *out.mutable_test_evaluation() = ToProto(result.test);
  if (result.lr_range.has_value()) {
    out.mutable_lr_range_test_result()->set_steepest_learning_rate(result.lr_range->steepest);
    out.mutable_lr_range_test_result()->set_tenth_of_minimum_learning_rate(result.lr_range->tenth_of_minimum);
  }
  return out;
}

worker::v1::Failed ToProto(const FailureReport& failure) {
  worker::v1::Failed out;
  out.set_category(ToProto(failure.category));
  out.set_code(failure.code);
  out.set_message(failure.message);
  out.set_step(failure.step);
  out.set_retryable(failure.retryable);
  out.set_process_lost(failure.process_lost);
  out.set_not_finite(failure.not_finite);
  return out;
}

v1::Prediction ToProto(const PredictionOutput& output) {
  v1::Prediction out;
  for (const auto& [label, score] : output.scores) {
    v1::ClassScore& each = *out.add_scores();
    each.set_label(label);
    each.set_score(score);
  }
  for (const std::string& label : output.labels) out.add_labels(label);
  out.set_value(output.value);
  out.mutable_logits()->Add(output.logits.begin(), output.logits.end());
  out.set_truncated(output.truncated);
  return out;
}

}  // namespace attune::training
