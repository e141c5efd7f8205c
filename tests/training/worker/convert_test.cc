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
    base_model: "models/m" task: TASK_TEXT_MULTI_LABEL head { dropout: 0.25 } seed: 7 precision: PRECISION_BF16
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

TEST(FromProto, AbsentValuesGetTheDefaultsOfTheProto) {
  const FineTuneSpec spec = FromProto(Parse<v1::FineTuningSpec>("phases { trainable { all: true } }"));
  EXPECT_EQ(spec.task, "text-classification");
  EXPECT_LT(spec.head_dropout, 0);  // the model's own
  EXPECT_EQ(spec.batch_size, 32);
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
      R"pb(fence { job: "fineTuningJobs/j" attempt: 2 } model_dir: "m" dataset_dir: "d" output_dir: "o" resume_dir: "r")pb"));
  EXPECT_EQ(assign.fence, (AttemptFence{"fineTuningJobs/j", 2}));
  EXPECT_EQ(assign.paths.model_dir + assign.paths.dataset_dir + assign.paths.output_dir + assign.paths.resume_dir, "mdor");
  const PredictCommand predict = FromProto(Parse<worker::v1::Predict>(R"pb(request: 5 checkpoint_dir: "c" inputs { text: "t" text_pair: "p" })pb"));
  EXPECT_EQ(predict.request, 5);
  ASSERT_EQ(predict.inputs.size(), 1u);
  EXPECT_EQ(predict.inputs[0].text + predict.inputs[0].text_pair, "tp");
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
