#include "server/training/worker/convert.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::ElementsAre;

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

TEST(FromProto, EveryFieldOfASpec) {
  const FineTuneSpec spec = FromProto(Parse<v1::FineTuningSpec>(R"pb(
    base_model: "models/m" task: TASK_TEXT_MULTI_LABEL head { dropout: 0.25 hidden_sizes: 256 hidden_sizes: 128 activation: ACTIVATION_SILU pooling: POOLING_MAX } seed: 7 precision: PRECISION_BF16
    hyperparameters {
      n_epochs: 4 max_steps: 100 batch_size: 16 learning_rate: 1e-4 learning_rate_multiplier: 2 weight_decay: 0.05 warmup_steps: 9
      lr_scheduler_type: LR_SCHEDULER_TYPE_COSINE max_grad_norm: 0 gradient_accumulation_steps: 3 label_smoothing: 0.1 early_stopping_patience: 5
      optimizer: OPTIMIZER_SGD adam_beta1: 0.8 adam_beta2: 0.99 adam_epsilon: 1e-6 momentum: 0.7 max_length: 64
    }
    phases { name: "a" n_epochs: 2 trainable { head_only: true } learning_rate: 1e-3 }
    phases { name: "b" max_steps: 11 trainable { last_n_groups: 3 freeze: "x*" } layer_decay: 0.9 }
    phases { name: "c" plateau { patience: 1 max_epochs: 8 } trainable { patterns { patterns: "p" patterns: "q" } } }
    evaluation { eval_steps: 10 metric_for_best_model: "f1_macro" split: SPLIT_TEST eval_batch_size: 32 }
    checkpointing { save_steps: 20 keep_last: 3 }
    resources { device: "cuda:1" threads: 6 })pb"));
  EXPECT_EQ(spec.base_model, "models/m");
  EXPECT_EQ(spec.task, "text-multi-label");
  EXPECT_EQ(spec.head_dropout, 0.25);
  EXPECT_THAT(spec.head_hidden_sizes, ElementsAre(256, 128));
  EXPECT_EQ(spec.head_activation, HeadActivation::kSilu);
  EXPECT_EQ(spec.head_pooling, architectures::Pooling::kMax);
  EXPECT_EQ(spec.seed, 7u);
  EXPECT_EQ(spec.precision, Precision::kBf16);
  EXPECT_EQ(spec.max_steps, 100);
  EXPECT_EQ(spec.batch_size, 16);
  EXPECT_EQ(spec.accumulation, 3);
  EXPECT_EQ(spec.eval_batch_size, 32);
  EXPECT_EQ(spec.max_length, 64);
  EXPECT_EQ(spec.schedule, ScheduleKind::kCosine);
  EXPECT_EQ(spec.label_smoothing, 0.1);
  EXPECT_EQ(spec.early_stopping_patience, 5);
  EXPECT_EQ(spec.eval_steps, 10);
  EXPECT_EQ(spec.save_steps, 20);
  EXPECT_EQ(spec.keep_last, 3);
  EXPECT_EQ(spec.best_metric, "f1_macro");
  EXPECT_EQ(spec.eval_split, "test");
  EXPECT_EQ(spec.device, "cuda:1");
  EXPECT_EQ(spec.threads, 6);
  EXPECT_EQ(spec.optimizer.kind, OptimizerKind::kSgd);
  EXPECT_EQ(spec.optimizer.weight_decay, 0.05);
  EXPECT_EQ(spec.optimizer.beta1, 0.8);
  EXPECT_EQ(spec.optimizer.beta2, 0.99);
  EXPECT_EQ(spec.optimizer.epsilon, 1e-6);
  EXPECT_EQ(spec.optimizer.momentum, 0.7);
  EXPECT_EQ(spec.optimizer.max_grad_norm, 0);
  ASSERT_EQ(spec.phases.size(), 3u);
  EXPECT_EQ(spec.phases[0].name, "a");
  EXPECT_EQ(spec.phases[0].n_epochs, 2);
  EXPECT_EQ(spec.phases[0].trainable.base, TrainableSpec::Base::kHeadOnly);
  EXPECT_DOUBLE_EQ(spec.phases[0].learning_rate, 2e-3);  // the multiplier is applied
  EXPECT_EQ(spec.phases[0].layer_decay, 1);
  EXPECT_EQ(spec.phases[0].warmup_steps, 9);
  EXPECT_EQ(spec.phases[1].max_steps, 11);
  EXPECT_EQ(spec.phases[1].trainable.base, TrainableSpec::Base::kLastNGroups);
  EXPECT_EQ(spec.phases[1].trainable.last_n_groups, 3);
  EXPECT_THAT(spec.phases[1].trainable.freeze, ElementsAre("x*"));
  EXPECT_DOUBLE_EQ(spec.phases[1].learning_rate, 2e-4);
  EXPECT_EQ(spec.phases[1].layer_decay, 0.9);
  EXPECT_EQ(spec.phases[2].plateau_patience, 1);
  EXPECT_EQ(spec.phases[2].n_epochs, 8);
  EXPECT_THAT(spec.phases[2].trainable.patterns, ElementsAre("p", "q"));
}

TEST(FromProto, HowAdaptationIsSteered) {
  const FineTuneSpec spec = FromProto(Parse<v1::FineTuningSpec>(R"pb(
    hyperparameters {
      class_balance: CLASS_BALANCE_BALANCED_SAMPLING l2_sp: 0.25 ema_decay: 0.99
      class_weights { key: "a" value: 0.5 } class_weights { key: "b" value: 3 }
    }
    phases { name: "a" n_epochs: 1 group_rates { key: "head" value: 10 } group_rates { key: "layer.0" value: 0.1 } }
    phases { name: "b" n_epochs: 1 })pb"));
  EXPECT_EQ(spec.class_balance, ClassBalance::kBalancedSampling);
  EXPECT_EQ(spec.class_weights, (std::map<std::string, double>{{"a", 0.5}, {"b", 3}}));
  EXPECT_EQ(spec.l2_sp, 0.25);
  EXPECT_EQ(spec.ema_decay, 0.99);
  ASSERT_EQ(spec.phases.size(), 2u);
  EXPECT_EQ(spec.phases[0].group_rates, (std::map<std::string, double>{{"head", 10}, {"layer.0", 0.1}}));
  EXPECT_TRUE(spec.phases[1].group_rates.empty());
  for (const auto& [proto, plain] : {std::pair{v1::CLASS_BALANCE_UNSPECIFIED, ClassBalance::kNone}, {v1::CLASS_BALANCE_NONE, ClassBalance::kNone},
                                     {v1::CLASS_BALANCE_WEIGHTED_LOSS, ClassBalance::kWeightedLoss}}) {
    v1::FineTuningSpec one;
    one.mutable_hyperparameters()->set_class_balance(proto);
    EXPECT_EQ(FromProto(one).class_balance, plain) << proto;
  }
  const FineTuneSpec none = FromProto(v1::FineTuningSpec());
  EXPECT_EQ(none.l2_sp, 0);
  EXPECT_EQ(none.ema_decay, 0);
  EXPECT_TRUE(none.class_weights.empty());
}

TEST(FromProto, WhatIsForImages) {
  const FineTuneSpec spec = FromProto(Parse<v1::FineTuningSpec>(R"pb(
    task: TASK_IMAGE_CLASSIFICATION hyperparameters { image_size: 192 }
    augmentation {
      enabled: true crop_scale_min: 0.3 horizontal_flip: 0.25 brightness: 0.1 contrast: 0.2 saturation: 0.15 hue: 0.05 rand_augment { operations: 3 magnitude: 7 }
      mixup_alpha: 0.8 cutmix_alpha: 1 cached_views: 6
    }
    evaluation { test_views: 4 }
    phases { name: "head" n_epochs: 1 trainable { head_only: true } batch_norm: BATCH_NORM_TRAIN augment: true }
    phases { name: "top" n_epochs: 1 trainable { last_n_groups: 1 } batch_norm: BATCH_NORM_FROZEN augment: false }
    phases { name: "plain" n_epochs: 1 trainable { head_only: true } }
    phases { name: "all" n_epochs: 1 trainable { all: true } })pb"));
  EXPECT_EQ(spec.task, "image-classification");
  EXPECT_EQ(spec.image_size, 192);
  const AugmentationSpec& augmentation = spec.augmentation;
  EXPECT_TRUE(augmentation.enabled);
  EXPECT_EQ(augmentation.crop_scale_min, 0.3);
  EXPECT_EQ(augmentation.horizontal_flip, 0.25);
  EXPECT_EQ(augmentation.brightness, 0.1);
  EXPECT_EQ(augmentation.contrast, 0.2);
  EXPECT_EQ(augmentation.saturation, 0.15);
  EXPECT_EQ(augmentation.hue, 0.05);
  EXPECT_EQ(augmentation.rand_augment_operations, 3);
  EXPECT_EQ(augmentation.rand_augment_magnitude, 7);
  EXPECT_EQ(augmentation.mixup_alpha, 0.8);
  EXPECT_EQ(augmentation.cutmix_alpha, 1);
  EXPECT_EQ(augmentation.cached_views, 6);
  EXPECT_EQ(spec.test_views, 4);
  ASSERT_EQ(spec.phases.size(), 4u);
  EXPECT_TRUE(spec.phases[0].train_batch_norm);
  EXPECT_TRUE(spec.phases[0].augment);
  EXPECT_FALSE(spec.phases[1].train_batch_norm);
  EXPECT_FALSE(spec.phases[1].augment);
  EXPECT_FALSE(spec.phases[2].augment) << "a phase of the head alone sees plain images unless it says otherwise";
  EXPECT_TRUE(spec.phases[3].augment);
  EXPECT_TRUE(spec.phases[3].train_batch_norm);
}

TEST(FromProto, EveryTaskAndActivation) {
  const std::pair<v1::Task, const char*> tasks[] = {{v1::TASK_TEXT_CLASSIFICATION, "text-classification"},   {v1::TASK_TEXT_MULTI_LABEL, "text-multi-label"},
                                                    {v1::TASK_TEXT_REGRESSION, "text-regression"},           {v1::TASK_IMAGE_CLASSIFICATION, "image-classification"},
                                                    {v1::TASK_IMAGE_MULTI_LABEL, "image-multi-label"},       {v1::TASK_IMAGE_REGRESSION, "image-regression"}};
  v1::FineTuningSpec spec;
  for (const auto& [task, name] : tasks) {
    spec.set_task(task);
    EXPECT_EQ(FromProto(spec).task, name);
  }
  const std::pair<v1::Activation, HeadActivation> activations[] = {{v1::ACTIVATION_UNSPECIFIED, HeadActivation::kRelu}, {v1::ACTIVATION_RELU, HeadActivation::kRelu},
                                                                   {v1::ACTIVATION_GELU, HeadActivation::kGelu},        {v1::ACTIVATION_TANH, HeadActivation::kTanh},
                                                                   {v1::ACTIVATION_SILU, HeadActivation::kSilu}};
  for (const auto& [proto, plain] : activations) {
    spec.mutable_head()->set_activation(proto);
    EXPECT_EQ(FromProto(spec).head_activation, plain);
  }
}

TEST(FromProto, Lora) {
  const LoraSpec lora = FromProto(Parse<v1::FineTuningSpec>(R"pb(lora { r: 4 alpha: 32 target_modules: "a" target_modules: "b" })pb")).lora;
  EXPECT_TRUE(lora.enabled);
  EXPECT_EQ(lora.rank, 4);
  EXPECT_EQ(lora.alpha, 32);
  EXPECT_THAT(lora.target_modules, ElementsAre("a", "b"));
  EXPECT_TRUE(FromProto(Parse<v1::FineTuningSpec>("lora {}")).lora.enabled);
  EXPECT_EQ(FromProto(Parse<v1::FineTuningSpec>("lora {}")).lora.rank, 8);
  EXPECT_FALSE(FromProto(v1::FineTuningSpec()).lora.enabled);
}

TEST(FromProto, Replay) {
  EXPECT_EQ(FromProto(Parse<v1::FineTuningSpec>(R"pb(replay { dataset: "datasets/d" fraction: 0.25 })pb")).replay_fraction, 0.25);
  EXPECT_EQ(FromProto(v1::FineTuningSpec()).replay_fraction, 0);
}

TEST(FromProto, LrRangeTest) {
  const LrRangeTestSpec test = FromProto(Parse<v1::FineTuningSpec>("lr_range_test { min_learning_rate: 1e-6 max_learning_rate: 2 steps: 50 }")).lr_range_test;
  EXPECT_TRUE(test.enabled);
  EXPECT_EQ(test.min_learning_rate, 1e-6);
  EXPECT_EQ(test.max_learning_rate, 2);
  EXPECT_FALSE(FromProto(v1::FineTuningSpec()).lr_range_test.enabled);
}

TEST(FromProto, AugmentationThatIsOffOrAbsentChangesNothing) {
  EXPECT_FALSE(FromProto(Parse<v1::FineTuningSpec>("augmentation { enabled: false }")).augmentation.enabled);
  EXPECT_FALSE(FromProto(v1::FineTuningSpec()).augmentation.enabled);
  EXPECT_EQ(FromProto(v1::FineTuningSpec()).image_size, 0) << "the model's own";
}

TEST(FromProto, AbsentValuesGetTheDefaultsOfTheProto) {
  const FineTuneSpec spec = FromProto(Parse<v1::FineTuningSpec>("phases { trainable { all: true } }"));
  EXPECT_EQ(spec.task, "text-classification");
  EXPECT_LT(spec.head_dropout, 0);  // the model's own
  EXPECT_EQ(spec.batch_size, 32);
  EXPECT_EQ(spec.test_views, 1);
  EXPECT_EQ(spec.augmentation.cached_views, 0);
  EXPECT_EQ(spec.eval_batch_size, 64);
  EXPECT_EQ(spec.accumulation, 1);
  EXPECT_EQ(spec.seed, 42u);
  EXPECT_EQ(spec.optimizer.kind, OptimizerKind::kAdamW);
  EXPECT_EQ(spec.optimizer.max_grad_norm, 1);
  EXPECT_EQ(spec.schedule, ScheduleKind::kLinear);
  EXPECT_EQ(spec.phases[0].n_epochs, 3);
  EXPECT_EQ(spec.phases[0].learning_rate, 5e-5);
  EXPECT_EQ(spec.phases[0].warmup_steps, -1);
  EXPECT_EQ(spec.phases[0].warmup_ratio, 0.06);
  EXPECT_EQ(spec.device, "cpu");
}

TEST(FromProto, Commands) {
  const AssignCommand assign = FromProto(Parse<worker::v1::Assign>(
      R"pb(fence { job: "fineTuningJobs/j" attempt: 2 } model_dir: "m" dataset_dir: "d" output_dir: "o" resume_dir: "r"
           feature_cache_dir: "f" feature_cache_bytes: 8589934592 replay_dataset_dir: "s")pb"));
  EXPECT_EQ(assign.fence, (AttemptFence{"fineTuningJobs/j", 2}));
  EXPECT_EQ(assign.paths.feature_cache_dir, "f");
  EXPECT_EQ(assign.paths.replay_dataset_dir, "s");
  EXPECT_EQ(assign.paths.feature_cache_bytes, 8589934592);
  EXPECT_EQ(assign.paths.model_dir + assign.paths.dataset_dir + assign.paths.output_dir + assign.paths.resume_dir, "mdor");
  const PredictCommand predict = FromProto(Parse<worker::v1::Predict>(R"pb(request: 5 checkpoint_dir: "c" inputs { text: "t" text_pair: "p" })pb"));
  EXPECT_EQ(predict.request, 5);
  EXPECT_EQ(predict.views, 1);
  ASSERT_EQ(predict.inputs.size(), 1u);
  EXPECT_EQ(predict.inputs[0].text + predict.inputs[0].text_pair, "tp");
  const PredictCommand images = FromProto(Parse<worker::v1::Predict>(R"pb(checkpoint_dir: "c" images: "\377\330a" images: "b" views: 3)pb"));
  ASSERT_EQ(images.inputs.size(), 2u);
  EXPECT_EQ(images.views, 3);
  EXPECT_EQ(images.inputs[0].image, "\xff\xd8" "a");
  EXPECT_EQ(images.inputs[1].image, "b");
  EXPECT_EQ(images.inputs[1].text, "");
}

TEST(FromProto, Evaluations) {
  const EvaluateCommand command = FromProto(Parse<worker::v1::Evaluate>(
      R"pb(request: 6 checkpoint_dir: "c" dataset_dir: "d" split: "test" suspect_count: 9 batch_size: 8)pb"));
  EXPECT_EQ(command.request, 6);
  EXPECT_EQ(command.evaluation.checkpoint_dir + command.evaluation.dataset_dir + command.evaluation.split, "cdtest");
  EXPECT_EQ(command.evaluation.suspects, 9);
  EXPECT_EQ(command.evaluation.batch_size, 8);
  EXPECT_EQ(FromProto(worker::v1::Evaluate()).evaluation.batch_size, 64);
}

TEST(ToProto, Evaluations) {
  EvaluationOutput output;
  output.figures.split = "test";
  output.calibration = {{0.2, 0.4, 3, 0.3, 0.5}};
  output.mistakes = {{1, "a.csv", 2, "", "text", {"x"}, {"y"}, 0.1, 0.8, -0.7, 2.3, 0, 0}};
  output.suspects = {{4, "p.tar", 0, "a/b.jpg", "", {}, {}, 0, 0, 0, 9, 1.5, -1.5}};
  output.contradicted_rows = 5;
  output.training_rows = 6;
  const v1::CheckpointEvaluation message = ToProto(output);
  EXPECT_EQ(message.evaluation().split(), "test");
  EXPECT_EQ(message.contradicted_rows(), 5);
  EXPECT_EQ(message.training_rows(), 6);
  const v1::CalibrationBin& bin = message.calibration(0);
  EXPECT_EQ(bin.lower(), 0.2);
  EXPECT_EQ(bin.upper(), 0.4);
  EXPECT_EQ(bin.rows(), 3);
  EXPECT_EQ(bin.confidence(), 0.3);
  EXPECT_EQ(bin.accuracy(), 0.5);
  const v1::JudgedRow& mistake = message.mistakes(0);
  EXPECT_EQ(mistake.row(), 1);
  EXPECT_EQ(mistake.filename() + mistake.text(), "a.csvtext");
  EXPECT_EQ(mistake.line(), 2);
  EXPECT_THAT(mistake.labels(), ElementsAre("x"));
  EXPECT_THAT(mistake.predicted_labels(), ElementsAre("y"));
  EXPECT_EQ(mistake.label_probability(), 0.1);
  EXPECT_EQ(mistake.predicted_probability(), 0.8);
  EXPECT_EQ(mistake.margin(), -0.7);
  EXPECT_EQ(mistake.loss(), 2.3);
  const v1::JudgedRow& suspect = message.suspects(0);
  EXPECT_EQ(suspect.entry(), "a/b.jpg");
  EXPECT_EQ(suspect.value(), 1.5);
  EXPECT_EQ(suspect.predicted_value(), -1.5);
}

TEST(ToProto, Reports) {
  EvaluationReport evaluation{12, "validation", 3, {{"accuracy", 0.5}}, {{"a", 0.1, 0.2, 0.3, 4}}, {1, 2, 3, 4}, true};
  const v1::Evaluation message = ToProto(evaluation);
  EXPECT_EQ(message.step(), 12);
  EXPECT_EQ(message.values().at("accuracy"), 0.5);
  EXPECT_EQ(message.classes(0).support(), 4);
  EXPECT_THAT(message.confusion_matrix(), ElementsAre(1, 2, 3, 4));
  EXPECT_TRUE(message.is_best());

  const v1::JobProgress progress = ToProto(ProgressReport{1, 2, 0.5, "p", 3, 4, 5});
  EXPECT_EQ(progress.total_steps(), 2);
  EXPECT_EQ(progress.eta_seconds(), 3);
  EXPECT_EQ(progress.samples_per_second(), 4);
  EXPECT_EQ(progress.loss(), 5);

  const worker::v1::CheckpointWritten written = ToProto(CheckpointReport{7, "step-7", {{"loss", 1}}, true});
  EXPECT_EQ(written.directory(), "step-7");
  EXPECT_EQ(written.metrics().at("loss"), 1);

  JobResult result;
  result.best_step = 3;
  EXPECT_FALSE(ToProto(result).has_test_evaluation());
  EXPECT_FALSE(ToProto(result).has_lr_range_test_result());
  result.lr_range = LrRangeReport{1e-4, 2e-3};
  EXPECT_EQ(ToProto(result).lr_range_test_result().steepest_learning_rate(), 1e-4);
  EXPECT_EQ(ToProto(result).lr_range_test_result().tenth_of_minimum_learning_rate(), 2e-3);
  result.has_test = true;
  result.test = evaluation;
  EXPECT_EQ(ToProto(result).test_evaluation().rows(), 3);
}

TEST(ToProto, FailuresSayWhoseFault) {
  const std::pair<FailureCategory, v1::FailureInfo::Category> rows[] = {{FailureCategory::kUser, v1::FailureInfo::CATEGORY_USER},
                                                                       {FailureCategory::kData, v1::FailureInfo::CATEGORY_DATA},
                                                                       {FailureCategory::kResource, v1::FailureInfo::CATEGORY_RESOURCE},
                                                                       {FailureCategory::kSystem, v1::FailureInfo::CATEGORY_SYSTEM}};
  for (const auto& [plain, proto] : rows) {
    const worker::v1::Failed failed = ToProto(FailureReport{plain, 3, "why", 9, true, true});
    EXPECT_EQ(failed.category(), proto);
    EXPECT_EQ(failed.code(), 3);
    EXPECT_EQ(failed.message(), "why");
    EXPECT_EQ(failed.step(), 9);
    EXPECT_TRUE(failed.retryable());
    EXPECT_TRUE(failed.process_lost());
  }
}

TEST(FromProto, AProbeIsAnAssignmentWithANumber) {
  worker::v1::Probe probe;
  probe.set_request(8);
  probe.mutable_assignment()->set_output_dir("/scratch");
  probe.mutable_assignment()->mutable_effective_spec()->mutable_hyperparameters()->set_batch_size(5);
  const ProbeCommand command = FromProto(probe);
  EXPECT_EQ(command.request, 8);
  EXPECT_EQ(command.assignment.paths.output_dir, "/scratch");
  EXPECT_EQ(command.assignment.spec.batch_size, 5);
}

TEST(ToProto, Plans) {
  ProbeReport report;
  report.device = "cpu";
  report.threads = 2;
  report.memory = {.peak = 60, .runtime = 10, .parameters = 11, .gradients = 12, .optimizer = 13, .activations = 14};
  report.memory_limit = 70;
  report.fits = true;
  report.largest_batch = 32;
  report.accumulation = 3;
  report.phases = {{.name = "head", .steps = 4, .step_seconds = 0.5, .seconds = 2, .trainable_parameters = 6}};
  report.total_steps = 4;
  report.seconds = 2.5;
  report.low_seconds = 2;
  report.high_seconds = 3;
  report.checkpoint_bytes = 99;
  const v1::PlanFineTuningJobResponse plan = ToProto(report);
  EXPECT_EQ(plan.device(), "cpu");
  EXPECT_EQ(plan.threads(), 2);
  EXPECT_EQ(plan.memory().peak_bytes(), 60);
  EXPECT_EQ(plan.memory().runtime_bytes(), 10);
  EXPECT_EQ(plan.memory().parameters_bytes(), 11);
  EXPECT_EQ(plan.memory().gradients_bytes(), 12);
  EXPECT_EQ(plan.memory().optimizer_bytes(), 13);
  EXPECT_EQ(plan.memory().activations_bytes(), 14);
  EXPECT_EQ(plan.memory_limit_bytes(), 70);
  EXPECT_TRUE(plan.fits());
  EXPECT_EQ(plan.largest_batch_size(), 32);
  EXPECT_EQ(plan.accumulation_steps(), 3);
  EXPECT_EQ(plan.phases(0).phase(), "head");
  EXPECT_EQ(plan.phases(0).steps(), 4);
  EXPECT_EQ(plan.phases(0).step_seconds(), 0.5);
  EXPECT_EQ(plan.phases(0).seconds(), 2);
  EXPECT_EQ(plan.phases(0).trainable_parameters(), 6);
  EXPECT_EQ(plan.total_steps(), 4);
  EXPECT_EQ(plan.total_seconds(), 2.5);
  EXPECT_EQ(plan.total_seconds_low(), 2);
  EXPECT_EQ(plan.total_seconds_high(), 3);
  EXPECT_EQ(plan.checkpoint_bytes(), 99);
}

TEST(ToProto, Predictions) {
  const v1::Prediction message = ToProto(PredictionOutput{{{"b", 0.7}, {"a", 0.3}}, {"b"}, 0, {0.1f, 0.9f}, true});
  EXPECT_EQ(message.scores(0).label(), "b");
  EXPECT_EQ(message.scores(1).score(), 0.3);
  EXPECT_THAT(message.labels(), ElementsAre("b"));
  EXPECT_THAT(message.logits(), ElementsAre(0.1f, 0.9f));
  EXPECT_TRUE(message.truncated());
}

}  // namespace
}  // namespace attune::training
