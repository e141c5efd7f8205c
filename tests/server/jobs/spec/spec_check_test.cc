#include "server/jobs/spec/spec_check.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/jobs/spec/spec_check_fixture.h"

namespace attune::jobs {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Spec = v1::FineTuningSpec;

TEST(SpecCheck, FillsInEveryDefault) {
  SpecCheckResult result = CheckSpec(ValidInput());
  ASSERT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_THAT(result.warnings, IsEmpty());
  const Spec& spec = result.effective;
  EXPECT_EQ(spec.task(), v1::TASK_TEXT_CLASSIFICATION);
  EXPECT_EQ(spec.seed(), 42u);
  EXPECT_EQ(spec.precision(), v1::PRECISION_FP32);
  EXPECT_EQ(spec.resources().device(), "cpu");
  EXPECT_EQ(spec.resources().threads(), 8);
  EXPECT_FALSE(spec.head().has_dropout()) << "the model's own, which only the worker knows";
  const v1::Hyperparameters& h = spec.hyperparameters();
  EXPECT_EQ(h.n_epochs(), 3);
  EXPECT_FALSE(h.has_max_steps());
  EXPECT_EQ(h.batch_size(), 32);
  EXPECT_EQ(h.learning_rate(), 5e-5);
  EXPECT_EQ(h.learning_rate_multiplier(), 1);
  EXPECT_EQ(h.weight_decay(), 0.01);
  EXPECT_EQ(h.warmup_ratio(), 0.06);
  EXPECT_FALSE(h.has_warmup_steps());
  EXPECT_EQ(h.lr_scheduler_type(), v1::LR_SCHEDULER_TYPE_LINEAR);
  EXPECT_EQ(h.max_grad_norm(), 1);
  EXPECT_EQ(h.gradient_accumulation_steps(), 1);
  EXPECT_TRUE(h.has_label_smoothing());
  EXPECT_TRUE(h.has_early_stopping_patience());
  EXPECT_EQ(h.optimizer(), v1::OPTIMIZER_ADAMW);
  EXPECT_EQ(h.adam_beta1(), 0.9);
  EXPECT_EQ(h.adam_beta2(), 0.999);
  EXPECT_EQ(h.adam_epsilon(), 1e-8);
  EXPECT_EQ(h.momentum(), 0.9);
  EXPECT_EQ(h.max_length(), 128);
  EXPECT_EQ(spec.evaluation().split(), v1::SPLIT_VALIDATION);
  EXPECT_EQ(spec.evaluation().eval_batch_size(), 64);
  EXPECT_EQ(spec.evaluation().metric_for_best_model(), "accuracy");
  EXPECT_TRUE(spec.evaluation().has_eval_steps());
  EXPECT_TRUE(spec.checkpointing().has_save_steps());
  EXPECT_EQ(spec.checkpointing().keep_last(), 2);
}

TEST(SpecCheck, TextbookPolicyIsTheDefault) {
  SpecCheckInput input = ValidInput();
  input.spec.mutable_hyperparameters()->set_n_epochs(5);
  const Spec spec = CheckSpec(input).effective;
  ASSERT_EQ(spec.phases_size(), 2);
  EXPECT_EQ(spec.phases(0).name(), "head");
  EXPECT_EQ(spec.phases(0).n_epochs(), 1);
  EXPECT_TRUE(spec.phases(0).trainable().head_only());
  EXPECT_EQ(spec.phases(0).learning_rate(), 1e-3);
  EXPECT_EQ(spec.phases(1).name(), "all");
  EXPECT_EQ(spec.phases(1).n_epochs(), 5);
  EXPECT_TRUE(spec.phases(1).trainable().all());
  EXPECT_EQ(spec.phases(1).learning_rate(), 5e-5);
  EXPECT_EQ(spec.phases(1).layer_decay(), 1);
}

TEST(SpecCheck, TheTextbookHeadAlwaysLearnsFasterThanTheRest) {
  for (double rate : {1e-6, 1e-4, 5e-4, 2e-3, 0.1}) {
    SpecCheckInput input = ValidInput();
    input.spec.mutable_hyperparameters()->set_learning_rate(rate);
    const Spec spec = CheckSpec(input).effective;
    EXPECT_EQ(spec.phases(1).learning_rate(), rate);
    EXPECT_GT(spec.phases(0).learning_rate(), rate);
    EXPECT_GE(spec.phases(0).learning_rate(), 1e-3);
  }
}

TEST(SpecCheck, OwnPhasesAreFilledIn) {
  SpecCheckInput input = ValidInput();
  input.spec.add_phases();
  v1::Phase& head = *input.spec.add_phases();
  head.mutable_trainable()->set_head_only(true);
  head.mutable_plateau();
  v1::Phase& top = *input.spec.add_phases();
  top.set_name("top");
  top.set_max_steps(7);
  top.mutable_trainable()->set_last_n_groups(2);
  top.mutable_trainable()->add_freeze("bert.pooler.*");
  top.set_layer_decay(0.5);
  SpecCheckResult result = CheckSpec(input);
  ASSERT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  const auto& phases = result.effective.phases();
  EXPECT_EQ(phases[0].name(), "phase-1");
  EXPECT_EQ(phases[0].n_epochs(), 3);
  EXPECT_TRUE(phases[0].trainable().all());
  EXPECT_EQ(phases[0].learning_rate(), 5e-5);
  EXPECT_EQ(phases[0].layer_decay(), 1);
  EXPECT_EQ(phases[1].name(), "phase-2");
  EXPECT_EQ(phases[1].plateau().patience(), 2);
  EXPECT_EQ(phases[1].plateau().max_epochs(), 20);
  EXPECT_EQ(phases[1].learning_rate(), 1e-3);
  EXPECT_EQ(phases[2].max_steps(), 7);
  EXPECT_EQ(phases[2].layer_decay(), 0.5);
  input.spec.mutable_hyperparameters()->set_learning_rate(2e-4);
  EXPECT_EQ(CheckSpec(input).effective.phases(1).learning_rate(), 2e-4) << "a rate that was asked for holds for every phase without its own";
}

TEST(SpecCheck, TasksFollowTheLabels) {
  SpecCheckInput input = ValidInput();
  MakeMultiLabel(input);
  EXPECT_EQ(CheckSpec(input).effective.task(), v1::TASK_TEXT_MULTI_LABEL);
  EXPECT_EQ(CheckSpec(input).effective.evaluation().metric_for_best_model(), "f1_macro");
  MakeRegression(input);
  SpecCheckResult result = CheckSpec(input);
  EXPECT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_EQ(result.effective.task(), v1::TASK_TEXT_REGRESSION);
  EXPECT_EQ(result.effective.evaluation().metric_for_best_model(), "mse");
}

TEST(SpecCheck, WithoutValidationRowsTheLossDecides) {
  SpecCheckInput input = ValidInput();
  DropValidation(input);
  SpecCheckResult result = CheckSpec(input);
  EXPECT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_EQ(result.effective.evaluation().metric_for_best_model(), "loss");
}

TEST(SpecCheck, DevicesAreResolved) {
  SpecCheckInput input = ValidInput();
  input.devices = {MakeDevice("cpu", true), MakeDevice("cuda:0", false, "too old"), MakeDevice("cuda:1", true)};
  for (const auto& [asked, resolved] : std::vector<std::pair<std::string, std::string>>{
           {"", "cuda:1"}, {"auto", "cuda:1"}, {"cuda", "cuda:1"}, {"cuda:1", "cuda:1"}, {"cpu", "cpu"}}) {
    input.spec.mutable_resources()->set_device(asked);
    SpecCheckResult result = CheckSpec(input);
    EXPECT_THAT(result.violations, IsEmpty()) << Text(result.violations);
    EXPECT_EQ(result.effective.resources().device(), resolved) << asked;
  }
}

TEST(SpecCheck, WhichOfSeveralGpusIsDecidedLater) {
  SpecCheckInput input = ValidInput();
  input.devices = {MakeDevice("cpu", true), MakeDevice("cuda:0", true), MakeDevice("cuda:1", false, "too old"), MakeDevice("cuda:2", true)};
  for (const auto& [asked, resolved] : std::vector<std::pair<std::string, std::string>>{{"", "cuda"}, {"cuda", "cuda"}, {"cuda:2", "cuda:2"}, {"cpu", "cpu"}}) {
    input.spec.mutable_resources()->set_device(asked);
    EXPECT_EQ(CheckSpec(input).effective.resources().device(), resolved) << asked;
  }
}

TEST(SpecCheck, DefaultThreadsAreTheServers) {
  SpecCheckInput input = ValidInput();
  input.default_threads = 3;
  EXPECT_EQ(CheckSpec(input).effective.resources().threads(), 3);
}

class Faults : public ::testing::TestWithParam<FaultCase> {};
TEST_P(Faults, AreToldOnceByFieldAndWords) { ExpectOnlyFault(ValidInput(), GetParam()); }

#define HYPER(setter) [](SpecCheckInput& i) { i.spec.mutable_hyperparameters()->setter; }

const double kNan = std::nan("");

std::vector<FaultCase> HyperparameterFaults() {
  const std::string h = "spec.hyperparameters.";
  return {
      {"NoEpochs", HYPER(set_n_epochs(0)), h + "n_epochs", {"1 to 1000, not 0"}},
      {"ManyEpochs", HYPER(set_n_epochs(1001)), h + "n_epochs", {"1001"}},
      {"NoSteps", HYPER(set_max_steps(0)), h + "max_steps", {"at least 1"}},
      {"NoBatch", HYPER(set_batch_size(0)), h + "batch_size", {"1 to 4096"}},
      {"HugeBatch", HYPER(set_batch_size(4097)), h + "batch_size", {"4097"}},
      {"NoAccumulation", HYPER(set_gradient_accumulation_steps(0)), h + "gradient_accumulation_steps", {"1 to 1024"}},
      {"ZeroRate", HYPER(set_learning_rate(0)), h + "learning_rate", {"over 0 and below 1"}},
      {"NegativeRate", HYPER(set_learning_rate(-1)), h + "learning_rate", {"-1"}},
      {"RateOfOne", HYPER(set_learning_rate(1)), h + "learning_rate", {"below 1"}},
      {"NanRate", HYPER(set_learning_rate(kNan)), h + "learning_rate", {"nan"}},
      {"ZeroMultiplier", HYPER(set_learning_rate_multiplier(0)), h + "learning_rate_multiplier", {"over 0"}},
      {"InfiniteMultiplier", HYPER(set_learning_rate_multiplier(INFINITY)), h + "learning_rate_multiplier", {"inf"}},
      {"Decay", HYPER(set_weight_decay(1.5)), h + "weight_decay", {"0 to 1"}},
      {"WarmupRatio", HYPER(set_warmup_ratio(-0.1)), h + "warmup_ratio", {"0 to 1"}},
      {"WarmupSteps", HYPER(set_warmup_steps(-1)), h + "warmup_steps", {"at least 0"}},
      {"TwoWarmups", [](SpecCheckInput& i) {
         i.spec.mutable_hyperparameters()->set_warmup_ratio(0.1);
         i.spec.mutable_hyperparameters()->set_warmup_steps(5);
       }, h + "warmup_steps", {"warmup_ratio is set too"}},
      {"Schedule", HYPER(set_lr_scheduler_type(static_cast<v1::LrSchedulerType>(9))), h + "lr_scheduler_type", {"9", "COSINE"}},
      {"GradNorm", HYPER(set_max_grad_norm(-1)), h + "max_grad_norm", {"0 (not clipped)"}},
      {"NanGradNorm", HYPER(set_max_grad_norm(kNan)), h + "max_grad_norm", {"nan"}},
      {"Smoothing", HYPER(set_label_smoothing(1)), h + "label_smoothing", {"below 1"}},
      {"SmoothingOfNumbers", [](SpecCheckInput& i) {
         MakeRegression(i);
         i.spec.mutable_hyperparameters()->set_label_smoothing(0.1);
       }, h + "label_smoothing", {"text-regression"}},
      {"Patience", HYPER(set_early_stopping_patience(-1)), h + "early_stopping_patience", {"at least 0"}},
      {"PatienceWithoutRows", [](SpecCheckInput& i) {
         DropValidation(i);
         i.spec.mutable_hyperparameters()->set_early_stopping_patience(2);
       }, h + "early_stopping_patience", {"validation rows"}},
      {"Optimizer", HYPER(set_optimizer(static_cast<v1::Optimizer>(5))), h + "optimizer", {"OPTIMIZER_ADAMW"}},
      {"Beta1", HYPER(set_adam_beta1(1)), h + "adam_beta1", {"below 1"}},
      {"Beta2", HYPER(set_adam_beta2(-0.1)), h + "adam_beta2", {"0 to below 1"}},
      {"Epsilon", HYPER(set_adam_epsilon(0)), h + "adam_epsilon", {"over 0"}},
      {"Momentum", [](SpecCheckInput& i) {
         i.spec.mutable_hyperparameters()->set_optimizer(v1::OPTIMIZER_SGD);
         i.spec.mutable_hyperparameters()->set_momentum(1);
       }, h + "momentum", {"below 1"}},
      {"ShortTexts", HYPER(set_max_length(7)), h + "max_length", {"at least 8"}},
      {"LongTexts", HYPER(set_max_length(129)), h + "max_length", {"at most 128", "models/m"}},
  };
}

std::vector<FaultCase> OtherFaults() {
  return {
      {"NoModel", [](SpecCheckInput& i) { i.spec.clear_base_model(); i.model.Clear(); i.layers.clear(); }, "spec.base_model", {"required"}},
      {"NoDataset", [](SpecCheckInput& i) { i.spec.clear_dataset(); i.dataset.Clear(); }, "spec.dataset", {"required"}},
      {"Architecture", [](SpecCheckInput& i) { i.model.set_architecture("gpt2"); }, "spec.base_model", {"gpt2", "bert"}},
      {"Importing", [](SpecCheckInput& i) { i.dataset.set_state(v1::Dataset::STATE_IMPORTING); }, "spec.dataset", {"still being imported"}},
      {"FailedImport", [](SpecCheckInput& i) { i.dataset.set_state(v1::Dataset::STATE_FAILED); i.dataset.set_error("row 3"); }, "spec.dataset", {"row 3"}},
      {"NoTrainingRows", [](SpecCheckInput& i) { SetSplit(i.dataset, v1::SPLIT_TRAIN, {}); }, "spec.dataset", {"no training rows"}},
      {"OneClass", [](SpecCheckInput& i) { SetSplit(i.dataset, v1::SPLIT_TRAIN, {{"yes", 50}}); }, "spec.dataset", {"only one class (\"yes\")"}},
      {"TaskAgainstLabels", [](SpecCheckInput& i) { i.spec.set_task(v1::TASK_TEXT_REGRESSION); }, "spec.task", {"TASK_TEXT_CLASSIFICATION", "datasets/d"}},
      {"UnknownTask", [](SpecCheckInput& i) { i.spec.set_task(static_cast<v1::Task>(77)); }, "spec.task", {"77"}},
      {"TaskNotOfArchitecture", [](SpecCheckInput& i) { i.architectures[0].clear_tasks(); i.architectures[0].add_tasks("text-regression"); }, "spec.task",
       {"text-classification", "text-regression"}},
      {"Dropout", [](SpecCheckInput& i) { i.spec.mutable_head()->set_dropout(1); }, "spec.head.dropout", {"below 1"}},
      {"Precision", [](SpecCheckInput& i) { i.spec.set_precision(static_cast<v1::Precision>(9)); }, "spec.precision", {"PRECISION_BF16"}},
      {"UnknownDevice", [](SpecCheckInput& i) { i.spec.mutable_resources()->set_device("cuda:7"); }, "spec.resources.device", {"cuda:7", "cpu, cuda:0"}},
      {"MisspeltDevice", [](SpecCheckInput& i) { i.spec.mutable_resources()->set_device("cpuu"); }, "spec.resources.device", {"did you mean \"cpu\""}},
      {"UnusableDevice", [](SpecCheckInput& i) { i.spec.mutable_resources()->set_device("cuda:0"); }, "spec.resources.device", {"no driver"}},
      {"NoUsableGpu", [](SpecCheckInput& i) { i.spec.mutable_resources()->set_device("cuda"); }, "spec.resources.device", {"cuda:0: no driver"}},
      {"NoUsableDevice", [](SpecCheckInput& i) { i.devices[0].set_usable(false); i.devices[0].set_unusable_reason("broken"); }, "spec.resources.device", {"cpu: broken"}},
      {"NoThreads", [](SpecCheckInput& i) { i.spec.mutable_resources()->set_threads(0); }, "spec.resources.threads", {"1 to 8"}},
      {"NoMemory", [](SpecCheckInput& i) { i.spec.mutable_resources()->set_memory_bytes(0); }, "spec.resources.memory_bytes", {"at least 1"}},
      {"ManyThreads", [](SpecCheckInput& i) { i.spec.mutable_resources()->set_threads(9); }, "spec.resources.threads", {"1 to 8"}},
      {"MisspeltMetric", [](SpecCheckInput& i) { i.spec.mutable_evaluation()->set_metric_for_best_model("acuracy"); }, "spec.evaluation.metric_for_best_model",
       {"acuracy", "did you mean \"accuracy\""}},
      {"MetricOfAnotherTask", [](SpecCheckInput& i) { i.spec.mutable_evaluation()->set_metric_for_best_model("mse"); }, "spec.evaluation.metric_for_best_model",
       {"text-classification", "f1_macro"}},
      {"MetricWithoutRows", [](SpecCheckInput& i) { DropValidation(i); i.spec.mutable_evaluation()->set_metric_for_best_model("accuracy"); },
       "spec.evaluation.metric_for_best_model", {"validation rows"}},
      {"EvalStepsWithoutRows", [](SpecCheckInput& i) { DropValidation(i); i.spec.mutable_evaluation()->set_eval_steps(5); }, "spec.evaluation.eval_steps", {"validation rows"}},
      {"EvalSteps", [](SpecCheckInput& i) { i.spec.mutable_evaluation()->set_eval_steps(-1); }, "spec.evaluation.eval_steps", {"at least 0"}},
      {"EvalBatch", [](SpecCheckInput& i) { i.spec.mutable_evaluation()->set_eval_batch_size(0); }, "spec.evaluation.eval_batch_size", {"1 to 4096"}},
      {"EvaluateOnTest", [](SpecCheckInput& i) { i.spec.mutable_evaluation()->set_split(v1::SPLIT_TEST); SetSplit(i.dataset, v1::SPLIT_TEST, {{"no", 5}}); },
       "spec.evaluation.split", {"test rows"}},
      {"SaveSteps", [](SpecCheckInput& i) { i.spec.mutable_checkpointing()->set_save_steps(-1); }, "spec.checkpointing.save_steps", {"at least 0"}},
      {"KeepNone", [](SpecCheckInput& i) { i.spec.mutable_checkpointing()->set_keep_last(0); }, "spec.checkpointing.keep_last", {"at least 1"}},
  };
}

FaultCase PhaseFault(const std::string& name, std::function<void(v1::Phase&)> change, const std::string& field, std::vector<std::string> words) {
  return {name, [change](SpecCheckInput& input) { change(*input.spec.add_phases()); }, "spec.phases[0]" + field, std::move(words)};
}

std::vector<FaultCase> PhaseFaults() {
  return {
      PhaseFault("PhaseNoEpochs", [](v1::Phase& p) { p.set_n_epochs(0); }, ".n_epochs", {"1 to 1000"}),
      PhaseFault("PhaseNoSteps", [](v1::Phase& p) { p.set_max_steps(0); }, ".max_steps", {"at least 1"}),
      PhaseFault("PlateauPatience", [](v1::Phase& p) { p.mutable_plateau()->set_patience(-1); }, ".plateau.patience", {"at least 1"}),
      PhaseFault("PlateauEpochs", [](v1::Phase& p) { p.mutable_plateau()->set_max_epochs(1001); }, ".plateau.max_epochs", {"1 to 1000"}),
      PhaseFault("PhaseRate", [](v1::Phase& p) { p.set_learning_rate(1.5); }, ".learning_rate", {"below 1"}),
      PhaseFault("LayerDecay", [](v1::Phase& p) { p.set_layer_decay(0); }, ".layer_decay", {"over 0"}),
      PhaseFault("NoGroups", [](v1::Phase& p) { p.mutable_trainable()->set_last_n_groups(0); }, ".trainable.last_n_groups", {"head_only"}),
      PhaseFault("ManyGroups", [](v1::Phase& p) { p.mutable_trainable()->set_last_n_groups(5); }, ".trainable.last_n_groups", {"at most 4", "embeddings, layer.0"}),
      PhaseFault("HeadOnlyFalse", [](v1::Phase& p) { p.mutable_trainable()->set_head_only(false); }, ".trainable.head_only", {"says nothing"}),
      PhaseFault("AllFalse", [](v1::Phase& p) { p.mutable_trainable()->set_all(false); }, ".trainable.all", {"says nothing"}),
      PhaseFault("NoPatterns", [](v1::Phase& p) { p.mutable_trainable()->mutable_patterns(); }, ".trainable.patterns", {"at least one"}),
      PhaseFault("PatternWithoutMatch", [](v1::Phase& p) { p.mutable_trainable()->mutable_patterns()->add_patterns("encoder.block.*"); },
                 ".trainable.patterns.patterns[0]", {"\"encoder.block.*\" matches no parameter of models/m", "embeddings.word_embeddings.weight", "DescribeLayers"}),
      PhaseFault("FreezeWithoutMatch", [](v1::Phase& p) { p.mutable_trainable()->add_freeze("nothing*"); }, ".trainable.freeze[0]", {"nothing*"}),
      PhaseFault("NearPattern", [](v1::Phase& p) { p.mutable_trainable()->add_freeze("pooler.dense.wieght"); }, ".trainable.freeze[0]", {"did you mean \"pooler.dense.weight\""}),
      PhaseFault("BadGlob", [](v1::Phase& p) { p.mutable_trainable()->add_freeze("layer.[0"); }, ".trainable.freeze[0]", {"]"}),
      PhaseFault("LongPattern", [](v1::Phase& p) { p.mutable_trainable()->add_freeze(std::string(600, '*')); }, ".trainable.freeze[0]", {"512"}),
      PhaseFault("NothingLeft", [](v1::Phase& p) { p.mutable_trainable()->add_freeze("*"); }, ".trainable", {"nothing to learn"}),
      PhaseFault("FrozenHeadAlone", [](v1::Phase& p) { p.mutable_trainable()->set_head_only(true); p.mutable_trainable()->add_freeze("classifier.*"); }, ".trainable",
                 {"nothing to learn"}),
      {"SameNames", [](SpecCheckInput& i) { i.spec.add_phases()->set_name("x"); i.spec.add_phases()->set_name("x"); }, "spec.phases[1].name", {"earlier phase"}},
      {"PlateauWithoutRows", [](SpecCheckInput& i) { DropValidation(i); i.spec.add_phases()->mutable_plateau(); }, "spec.phases[0].plateau", {"validation rows"}},
      {"ManyPhases", [](SpecCheckInput& i) { for (int n = 0; n < 101; ++n) i.spec.add_phases(); }, "spec.phases", {"100"}},
  };
}

INSTANTIATE_TEST_SUITE_P(Hyperparameters, Faults, ::testing::ValuesIn(HyperparameterFaults()), NameOf);
INSTANTIATE_TEST_SUITE_P(Others, Faults, ::testing::ValuesIn(OtherFaults()), NameOf);
INSTANTIATE_TEST_SUITE_P(Phases, Faults, ::testing::ValuesIn(PhaseFaults()), NameOf);

TEST(SpecCheck, AllFaultsAreToldAtOnce) {
  SpecCheckInput input = ValidInput();
  for (const FaultCase& fault : {HyperparameterFaults()[0], HyperparameterFaults()[3], OtherFaults()[10], PhaseFaults()[4]}) fault.change(input);
  EXPECT_EQ(CheckSpec(input).violations.size(), 4u) << Text(CheckSpec(input).violations);
}

TEST(SpecCheck, WarnsWithoutRefusing) {
  SpecCheckInput input = ValidInput();
  SetSplit(input.dataset, v1::SPLIT_TRAIN, {{"no", 50}, {"yes", 7}});
  input.spec.mutable_hyperparameters()->set_batch_size(64);
  input.spec.mutable_hyperparameters()->set_momentum(0.5);
  input.spec.mutable_hyperparameters()->set_max_length(16);
  input.dataset.mutable_report()->mutable_lengths()->set_unit(v1::LengthHistogram::UNIT_TOKENS);
  input.dataset.mutable_report()->mutable_lengths()->set_p95(40);
  SpecCheckResult result = CheckSpec(input);
  EXPECT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("\"yes\" has 7 training rows")));
  EXPECT_THAT(result.warnings, Contains(HasSubstr("every epoch is one step")));
  EXPECT_THAT(result.warnings, Contains(HasSubstr("momentum")));
  EXPECT_THAT(result.warnings, Contains(HasSubstr("longer than max_length")));
}

TEST(SpecCheck, MetricHintSurvivesAnUnknownDataset) {
  SpecCheckInput input = ValidInput();
  input.dataset.Clear();
  input.spec.mutable_evaluation()->set_metric_for_best_model("acc");
  SpecCheckResult result = CheckSpec(input);
  ASSERT_EQ(result.violations.size(), 1u) << Text(result.violations);
}

}  // namespace
}  // namespace attune::jobs
