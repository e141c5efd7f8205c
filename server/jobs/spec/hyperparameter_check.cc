// The parts of the spec check that look at numbers: hyperparameters, evaluation, checkpointing. Defaults as in training_spec.proto.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "server/base/nearest.h"
#include "server/jobs/spec/spec_context.h"

namespace attune::jobs {
namespace {

constexpr int kMaxEpochs = 1000;
constexpr int kMaxBatch = 4096;
constexpr int kMaxAccumulation = 1024;
constexpr int kMinLength = 8;
constexpr int kDefaultMaxLength = 512;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<std::string> MetricsOf(v1::Task task) {
  switch (KindOf(task)) {
    case v1::LABEL_KIND_SINGLE_LABEL:
      return {"accuracy", "f1_macro", "f1_micro", "loss"};
    case v1::LABEL_KIND_MULTI_LABEL:
      return {"f1_macro", "f1_micro", "accuracy", "loss"};
    case v1::LABEL_KIND_REGRESSION:
      return {"mse", "pearson", "loss"};
    default:
      return {"accuracy", "f1_macro", "f1_micro", "loss", "mse", "pearson"};
  }
}

void CheckLengthOfRun(SpecContext& context, v1::Hyperparameters& h) {
  if (!h.has_n_epochs()) {
    h.set_n_epochs(context.policy().n_epochs);
  } else {
    context.InRange("hyperparameters.n_epochs", h.n_epochs(), 1, kMaxEpochs);
  }
  if (h.has_max_steps()) context.AtLeast("hyperparameters.max_steps", h.max_steps(), int64_t{1});
  if (!h.has_batch_size()) {
    h.set_batch_size(32);
  } else {
    context.InRange("hyperparameters.batch_size", h.batch_size(), 1, kMaxBatch);
  }
  if (context.train_rows > 0 && h.batch_size() > context.train_rows) {
    context.Warn(StrCat("batch_size is ", h.batch_size(), " and there are ", context.train_rows, " training rows: every epoch is one step"));
  }
  if (!h.has_gradient_accumulation_steps()) {
    h.set_gradient_accumulation_steps(1);
  } else {
    context.InRange("hyperparameters.gradient_accumulation_steps", h.gradient_accumulation_steps(), 1, kMaxAccumulation);
  }
  if (!h.has_early_stopping_patience()) {
    h.set_early_stopping_patience(0);
  } else {
    context.AtLeast("hyperparameters.early_stopping_patience", h.early_stopping_patience(), 0);
  }
}

void CheckRates(SpecContext& context, v1::Hyperparameters& h) {
  if (!h.has_learning_rate()) {
    h.set_learning_rate(context.policy().learning_rate);
  } else {
    context.Between("hyperparameters.learning_rate", h.learning_rate(), 0, 1);
  }
  if (!h.has_learning_rate_multiplier()) {
    h.set_learning_rate_multiplier(1);
  } else {
    context.Between("hyperparameters.learning_rate_multiplier", h.learning_rate_multiplier(), 0, kInfinity);
  }
  if (!v1::LrSchedulerType_IsValid(h.lr_scheduler_type())) {
    context.Fault("hyperparameters.lr_scheduler_type", StrCat("there is no schedule ", static_cast<int>(h.lr_scheduler_type()),
                                                              "; use LINEAR, COSINE or CONSTANT"));
  } else if (h.lr_scheduler_type() == v1::LR_SCHEDULER_TYPE_UNSPECIFIED) {
    h.set_lr_scheduler_type(v1::LR_SCHEDULER_TYPE_LINEAR);
  }
  if (h.has_warmup_ratio() && h.has_warmup_steps()) {
    context.Fault("hyperparameters.warmup_steps", "warmup_ratio is set too; set one of them");
  }
  if (h.has_warmup_steps()) {
    context.AtLeast("hyperparameters.warmup_steps", h.warmup_steps(), int64_t{0});
  } else if (!h.has_warmup_ratio()) {
    h.set_warmup_ratio(0.06);
  }
  if (h.has_warmup_ratio()) context.InRange("hyperparameters.warmup_ratio", h.warmup_ratio(), 0.0, 1.0);
}

// A setting of one optimizer, absent for the other.
void CheckOptimizerShare(SpecContext& context, const char* name, bool has, double value, const char* of, bool used) {
  if (!has) return;
  context.Share(StrCat("hyperparameters.", name), value);
  if (!used) context.Warn(StrCat(name, " is a setting of ", of, " and is not used by the chosen optimizer"));
}

void CheckOptimizer(SpecContext& context, v1::Hyperparameters& h) {
  if (!v1::Optimizer_IsValid(h.optimizer())) {
    context.Fault("hyperparameters.optimizer", StrCat("there is no optimizer ", static_cast<int>(h.optimizer()), "; use OPTIMIZER_ADAMW or OPTIMIZER_SGD"));
    return;
  }
  if (h.optimizer() == v1::OPTIMIZER_UNSPECIFIED) h.set_optimizer(v1::OPTIMIZER_ADAMW);
  bool adamw = h.optimizer() == v1::OPTIMIZER_ADAMW;
  CheckOptimizerShare(context, "adam_beta1", h.has_adam_beta1(), h.adam_beta1(), "AdamW", adamw);
  CheckOptimizerShare(context, "adam_beta2", h.has_adam_beta2(), h.adam_beta2(), "AdamW", adamw);
  CheckOptimizerShare(context, "momentum", h.has_momentum(), h.momentum(), "SGD", !adamw);
  if (h.has_adam_epsilon()) context.Between("hyperparameters.adam_epsilon", h.adam_epsilon(), 0, kInfinity);
  if (!h.has_adam_beta1()) h.set_adam_beta1(0.9);
  if (!h.has_adam_beta2()) h.set_adam_beta2(0.999);
  if (!h.has_adam_epsilon()) h.set_adam_epsilon(1e-8);
  if (!h.has_momentum()) h.set_momentum(0.9);
  if (!h.has_weight_decay()) {
    h.set_weight_decay(0.01);
  } else {
    context.InRange("hyperparameters.weight_decay", h.weight_decay(), 0.0, 1.0);
  }
  if (!h.has_max_grad_norm()) {
    h.set_max_grad_norm(1);
  } else if (!(h.max_grad_norm() >= 0 && h.max_grad_norm() < kInfinity)) {
    context.Fault("hyperparameters.max_grad_norm", StrCat("must be 0 (not clipped) or more, not ", h.max_grad_norm()));
  }
}

void CheckMaxLength(SpecContext& context, v1::Hyperparameters& h) {
  if (context.images()) {
    if (h.has_max_length()) context.Fault("hyperparameters.max_length", StrCat("is for texts, and ", context.WhyNot(), "; leave it out"));
    return;
  }
  int limit = context.model_known && context.texts() ? context.input.model.max_length() : std::numeric_limits<int>::max();
  if (!h.has_max_length()) {
    h.set_max_length(std::min(limit, kDefaultMaxLength));
  } else if (h.max_length() < kMinLength) {
    context.AtLeast("hyperparameters.max_length", h.max_length(), kMinLength);
  } else if (h.max_length() > limit) {
    context.Fault("hyperparameters.max_length", StrCat("must be at most ", limit, " (what ", context.input.model.name(), " takes), not ", h.max_length()));
  }
  const v1::LengthHistogram& lengths = context.input.dataset.report().lengths();
  if (lengths.unit() == v1::LengthHistogram::UNIT_TOKENS && lengths.p95() > h.max_length()) {
    context.Warn(StrCat("more than 5 % of the texts are longer than max_length (", h.max_length(), " tokens) and will be cut"));
  }
}

}  // namespace

void CheckHyperparameters(SpecContext& context) {
  v1::Hyperparameters& h = *context.effective.mutable_hyperparameters();
  CheckLengthOfRun(context, h);
  CheckRates(context, h);
  CheckOptimizer(context, h);
  CheckMaxLength(context, h);
  if (!h.has_label_smoothing()) {
    h.set_label_smoothing(0);
  } else if (context.Share("hyperparameters.label_smoothing", h.label_smoothing()) && h.label_smoothing() > 0 &&
             context.task != v1::TASK_UNSPECIFIED && KindOf(context.task) != v1::LABEL_KIND_SINGLE_LABEL) {
    context.Fault("hyperparameters.label_smoothing", StrCat("is for single-label classification only, and the task is ", TaskName(context.task), "; leave it out"));
  }
}

void CheckEvaluation(SpecContext& context) {
  v1::EvaluationSpec& evaluation = *context.effective.mutable_evaluation();
  if (!v1::Split_IsValid(evaluation.split())) {
    context.Fault("evaluation.split", StrCat("there is no split ", static_cast<int>(evaluation.split()), "; use SPLIT_VALIDATION or leave it out"));
  } else if (evaluation.split() == v1::SPLIT_TEST) {
    context.Fault("evaluation.split", "test rows are for the final figure and must not choose the best checkpoint; use SPLIT_VALIDATION or leave it out");
  } else if (evaluation.split() == v1::SPLIT_UNSPECIFIED) {
    evaluation.set_split(v1::SPLIT_VALIDATION);
  }
  context.evaluation_rows = RowsOf(context.input.dataset, evaluation.split());
  if (!evaluation.has_eval_steps()) {
    evaluation.set_eval_steps(0);
  } else {
    context.AtLeast("evaluation.eval_steps", evaluation.eval_steps(), int64_t{0});
  }
  if (!evaluation.has_eval_batch_size()) {
    evaluation.set_eval_batch_size(std::clamp(2 * context.effective.hyperparameters().batch_size(), 1, kMaxBatch));
  } else {
    context.InRange("evaluation.eval_batch_size", evaluation.eval_batch_size(), 1, kMaxBatch);
  }

  const std::string& metric = context.input.spec.evaluation().metric_for_best_model();
  std::vector<std::string> valid = MetricsOf(context.task);
  if (!metric.empty() && std::find(valid.begin(), valid.end(), metric) == valid.end()) {
    std::string nearest = Nearest(metric, valid);
    context.Fault("evaluation.metric_for_best_model",
                  StrCat("\"", metric, "\" is no metric", context.task == v1::TASK_UNSPECIFIED ? "" : StrCat(" of ", TaskName(context.task)), "; ",
                         nearest.empty() ? "" : StrCat("did you mean \"", nearest, "\"? "), "Valid are ", absl::StrJoin(valid, ", ")));
  }
  bool nothing_to_ask = context.dataset_known && context.evaluation_rows == 0;
  if (metric.empty()) {
    evaluation.set_metric_for_best_model(nothing_to_ask || context.task == v1::TASK_UNSPECIFIED ? "loss" : valid[0]);
  }
  if (!nothing_to_ask) return;
  constexpr char kNoRows[] = "needs validation rows and the dataset has none; import it with a validation split, or leave this out";
  if (!metric.empty() && metric != "loss") context.Fault("evaluation.metric_for_best_model", kNoRows);
  if (evaluation.eval_steps() > 0) context.Fault("evaluation.eval_steps", kNoRows);
  if (context.effective.hyperparameters().early_stopping_patience() > 0) context.Fault("hyperparameters.early_stopping_patience", kNoRows);
}

void CheckCheckpointing(SpecContext& context) {
  v1::CheckpointSpec& checkpointing = *context.effective.mutable_checkpointing();
  if (!checkpointing.has_save_steps()) {
    checkpointing.set_save_steps(0);
  } else {
    context.AtLeast("checkpointing.save_steps", checkpointing.save_steps(), int64_t{0});
  }
  if (!checkpointing.has_keep_last()) {
    checkpointing.set_keep_last(2);
  } else {
    context.AtLeast("checkpointing.keep_last", checkpointing.keep_last(), 1);
  }
}

}  // namespace attune::jobs
