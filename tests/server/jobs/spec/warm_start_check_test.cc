// Jobs that begin with another one's checkpoint: which ones may, and what is named where they may not.
#include <cctype>

#include "server/jobs/job.h"
#include "tests/server/jobs/spec/spec_check_fixture.h"

namespace attune::jobs {
namespace {

using ::testing::IsEmpty;

constexpr char kStart[] = "fineTuningJobs/j1/checkpoints/20";

// A job of two phases, whose checkpoint in the second one is to be begun with; and a job with the same spec.
SpecCheckInput WarmInput(v1::WarmStart::Part part) {
  SpecCheckInput input = ValidInput();
  WarmStartSource& source = input.warm_start;
  source.job.set_name("fineTuningJobs/j1");
  *source.job.mutable_effective_spec() = CheckSpec(ValidInput()).effective;
  *source.job.mutable_class_labels() = input.dataset.labels();
  source.checkpoint.set_name(kStart);
  source.checkpoint.set_step(20);
  source.checkpoint.set_resumable(true);
  source.phase = 1;
  input.spec.mutable_warm_start()->set_checkpoint("fineTuningJobs/j1/checkpoints/best");
  input.spec.mutable_warm_start()->set_part(part);
  return input;
}

TEST(WarmStartCheck, AliasesBecomeStepsAndAnAbsentPartTheWeights) {
  const SpecCheckResult result = CheckSpec(WarmInput(v1::WarmStart::PART_UNSPECIFIED));
  EXPECT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_EQ(result.effective.warm_start().checkpoint(), kStart);
  EXPECT_EQ(result.effective.warm_start().part(), v1::WarmStart::PART_WEIGHTS);
}

TEST(WarmStartCheck, WeightsGoWithAnotherWayToTrain) {
  SpecCheckInput input = WarmInput(v1::WarmStart::PART_WEIGHTS);
  input.spec.set_seed(7);
  input.spec.set_dataset("datasets/e");
  input.dataset.set_name("datasets/e");  // of the same classes
  input.spec.mutable_hyperparameters()->set_batch_size(4);
  input.spec.mutable_hyperparameters()->set_optimizer(v1::OPTIMIZER_SGD);
  input.spec.mutable_head()->set_dropout(0.3);
  input.spec.mutable_hyperparameters()->set_l2_sp(0.1);
  input.warm_start.checkpoint.set_resumable(false);
  input.warm_start.job.mutable_effective_spec()->mutable_warm_start()->set_checkpoint("fineTuningJobs/j0/checkpoints/3");
  const SpecCheckResult result = CheckSpec(input);
  EXPECT_THAT(result.violations, IsEmpty()) << Text(result.violations);
}

TEST(WarmStartCheck, AllOfACheckpointGoesWithWhatDecidesOnlyTheRest) {
  SpecCheckInput input = WarmInput(v1::WarmStart::PART_ALL);
  EXPECT_THAT(CheckSpec(input).violations, IsEmpty()) << Text(CheckSpec(input).violations);
  EXPECT_EQ(BeginsAfter(CheckSpec(input).effective), 20);
  input.spec = CheckSpec(input).effective;  // as `jobs verify-resume` asks
  EXPECT_THAT(CheckSpec(input).violations, IsEmpty()) << Text(CheckSpec(input).violations);
  input.spec.mutable_phases(1)->set_n_epochs(9);
  input.spec.add_phases()->set_name("more");
  input.spec.mutable_hyperparameters()->set_early_stopping_patience(4);
  input.spec.mutable_checkpointing()->set_save_steps(3);
  input.spec.mutable_evaluation()->set_eval_steps(5);
  input.spec.mutable_resources()->set_threads(1);
  input.spec.mutable_scheduling()->set_priority(3);
  EXPECT_THAT(CheckSpec(input).violations, IsEmpty()) << Text(CheckSpec(input).violations);
}

TEST(WarmStartCheck, AllOfACheckpointGoesOnWithAsManyThreads) {
  SpecCheckInput input = WarmInput(v1::WarmStart::PART_ALL);
  input.warm_start.job.mutable_effective_spec()->mutable_resources()->set_threads(3);
  SpecCheckResult result = CheckSpec(input);
  EXPECT_EQ(result.effective.resources().threads(), 3) << "the default is another number";
  EXPECT_THAT(result.warnings, ::testing::Not(::testing::Contains(::testing::HasSubstr("threads"))));
  input.spec.mutable_resources()->set_threads(2);
  result = CheckSpec(input);
  EXPECT_EQ(result.effective.resources().threads(), 2);
  EXPECT_THAT(result.warnings, ::testing::Contains(::testing::HasSubstr("threads is 2, and fineTuningJobs/")));
  input.spec.mutable_warm_start()->set_part(v1::WarmStart::PART_WEIGHTS);
  EXPECT_EQ(CheckSpec(input).effective.resources().threads(), 2);
  EXPECT_THAT(CheckSpec(input).warnings, ::testing::Not(::testing::Contains(::testing::HasSubstr("threads"))));
}

TEST(WarmStartCheck, AnEffectiveSpecOfUnfreezingGoesOn) {
  SpecCheckInput input = ValidInput();
  input.spec.mutable_gradual_unfreezing()->set_epochs_per_group(1);
  const v1::FineTuningSpec effective = CheckSpec(input).effective;
  input = WarmInput(v1::WarmStart::PART_ALL);
  *input.warm_start.job.mutable_effective_spec() = effective;
  const v1::WarmStart warm_start = input.spec.warm_start();
  input.spec = effective;
  *input.spec.mutable_warm_start() = warm_start;
  EXPECT_THAT(CheckSpec(input).violations, IsEmpty()) << Text(CheckSpec(input).violations);
}

TEST(WarmStartCheck, EveryDifferenceIsNamed) {
  SpecCheckInput input = WarmInput(v1::WarmStart::PART_ALL);
  input.spec.set_seed(7);
  input.spec.mutable_hyperparameters()->set_batch_size(4);
  input.spec.mutable_hyperparameters()->set_weight_decay(0.1);
  std::vector<std::string> fields;
  for (const FieldViolation& violation : CheckSpec(input).violations) fields.push_back(violation.field);
  EXPECT_THAT(fields, ::testing::UnorderedElementsAre("spec.seed", "spec.hyperparameters.batch_size", "spec.hyperparameters.weight_decay"));
}

TEST(WarmStartCheck, WhatIsNotKnownIsNotJudged) {
  SpecCheckInput input = WarmInput(v1::WarmStart::PART_ALL);
  input.warm_start = {};
  EXPECT_THAT(CheckSpec(input).violations, IsEmpty());
}

class WarmStartFaults : public ::testing::TestWithParam<FaultCase> {};
TEST_P(WarmStartFaults, AreToldOnceByFieldAndWords) { ExpectOnlyFault(WarmInput(v1::WarmStart::PART_WEIGHTS), GetParam()); }

FaultCase Source(const std::string& name, std::function<void(v1::FineTuningJob&)> change, std::vector<std::string> words) {
  return {name, [change = std::move(change)](SpecCheckInput& i) { change(i.warm_start.job); }, "spec.warm_start.checkpoint", std::move(words)};
}

INSTANTIATE_TEST_SUITE_P(
    Any, WarmStartFaults,
    ::testing::Values(
        Source("OtherModel", [](v1::FineTuningJob& j) { j.mutable_effective_spec()->set_base_model("models/x"); },
               {"fineTuningJobs/j1 has models/x, and this job has models/m; a warm start needs the same base model"}),
        Source("OtherTask", [](v1::FineTuningJob& j) { j.mutable_effective_spec()->set_task(v1::TASK_TEXT_REGRESSION); },
               {"has the task text-regression, and this job has the task text-classification"}),
        Source("OtherClasses", [](v1::FineTuningJob& j) { j.set_class_labels(0, "maybe"); }, {"has the classes maybe, yes, and this job has the classes no, yes", "in the same order"}),
        Source("OtherOrder", [](v1::FineTuningJob& j) { j.mutable_class_labels()->SwapElements(0, 1); }, {"the classes yes, no"}),
        Source("OtherHead", [](v1::FineTuningJob& j) { j.mutable_effective_spec()->mutable_head()->add_hidden_sizes(8); }, {"head of another form", "head.hidden_sizes"}),
        Source("OtherPooling", [](v1::FineTuningJob& j) { j.mutable_effective_spec()->mutable_head()->set_pooling(v1::POOLING_MEAN); }, {"head.pooling"}),
        FaultCase{"NoCheckpoint", [](SpecCheckInput& i) { i.spec.mutable_warm_start()->clear_checkpoint(); }, "spec.warm_start.checkpoint", {"is required"}},
        FaultCase{"UnknownPart", [](SpecCheckInput& i) { i.spec.mutable_warm_start()->set_part(static_cast<v1::WarmStart::Part>(9)); }, "spec.warm_start.part",
                  {"there is no part 9; use PART_WEIGHTS or PART_ALL"}},
        FaultCase{"RangeTest", [](SpecCheckInput& i) { i.spec.mutable_lr_range_test(); }, "spec.warm_start", {"cannot be used with lr_range_test"}}),
    NameOf);

class GoingOnFaults : public ::testing::TestWithParam<FaultCase> {};
TEST_P(GoingOnFaults, AreToldOnceByFieldAndWords) { ExpectOnlyFault(WarmInput(v1::WarmStart::PART_ALL), GetParam()); }

FaultCase Differs(const std::string& field, std::function<void(v1::FineTuningSpec&)> change) {
  std::string name;
  for (char c : field) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return {name, [change = std::move(change)](SpecCheckInput& i) { change(i.spec); }, "spec." + field,
          {"is not that of fineTuningJobs/j1; to go on from all of its checkpoint", "PART_WEIGHTS takes over the weights only"}};
}

INSTANTIATE_TEST_SUITE_P(
    All, GoingOnFaults,
    ::testing::Values(
        Differs("seed", [](v1::FineTuningSpec& s) { s.set_seed(7); }),
        Differs("precision", [](v1::FineTuningSpec& s) { s.set_precision(v1::PRECISION_BF16); }),
        Differs("hyperparameters.batch_size", [](v1::FineTuningSpec& s) { s.mutable_hyperparameters()->set_batch_size(4); }),
        Differs("hyperparameters.gradient_accumulation_steps", [](v1::FineTuningSpec& s) { s.mutable_hyperparameters()->set_gradient_accumulation_steps(2); }),
        Differs("hyperparameters.label_smoothing", [](v1::FineTuningSpec& s) { s.mutable_hyperparameters()->set_label_smoothing(0.1); }),
        Differs("head.dropout", [](v1::FineTuningSpec& s) { s.mutable_head()->set_dropout(0.3); }),
        Differs("evaluation.metric_for_best_model", [](v1::FineTuningSpec& s) { s.mutable_evaluation()->set_metric_for_best_model("loss"); }),
        Differs("hyperparameters.l2_sp", [](v1::FineTuningSpec& s) { s.mutable_hyperparameters()->set_l2_sp(0.1); }),
        FaultCase{"OtherDataset",
                  [](SpecCheckInput& i) {
                    i.spec.set_dataset("datasets/e");
                    i.dataset.set_name("datasets/e");
                  },
                  "spec.dataset", {"is not that of fineTuningJobs/j1"}},
        FaultCase{"AnEarlierPhasesLength",
                  [](SpecCheckInput& i) {
                    i.spec = CheckSpec(ValidInput()).effective;
                    i.spec.mutable_warm_start()->set_checkpoint(kStart);
                    i.spec.mutable_warm_start()->set_part(v1::WarmStart::PART_ALL);
                    i.spec.mutable_phases(0)->set_n_epochs(9);
                  },
                  "spec.phases[0].n_epochs", {"is not that of fineTuningJobs/j1"}},
        FaultCase{"TheCheckpointsPhaseItself",
                  [](SpecCheckInput& i) {
                    i.spec = CheckSpec(ValidInput()).effective;
                    i.spec.mutable_warm_start()->set_checkpoint(kStart);
                    i.spec.mutable_warm_start()->set_part(v1::WarmStart::PART_ALL);
                    i.spec.mutable_phases(1)->set_learning_rate(0.5);
                  },
                  "spec.phases[1].learning_rate", {"is not that of fineTuningJobs/j1"}},
        FaultCase{"TooFewPhases",
                  [](SpecCheckInput& i) {
                    i.spec = CheckSpec(ValidInput()).effective;
                    i.spec.mutable_warm_start()->set_checkpoint(kStart);
                    i.spec.mutable_warm_start()->set_part(v1::WarmStart::PART_ALL);
                    i.spec.mutable_phases()->RemoveLast();
                  },
                  "spec.phases", {"has 1, and fineTuningJobs/j1/checkpoints/20 is in the 2. phase of fineTuningJobs/j1"}},
        FaultCase{"WeightsOnly", [](SpecCheckInput& i) { i.warm_start.checkpoint.set_resumable(false); }, "spec.warm_start.part", {"holds weights only", "use PART_WEIGHTS"}},
        FaultCase{"AnchorsOfAWarmStart",
                  [](SpecCheckInput& i) {
                    i.spec.mutable_hyperparameters()->set_l2_sp(0.1);
                    i.warm_start.job.mutable_effective_spec()->mutable_hyperparameters()->set_l2_sp(0.1);
                    i.warm_start.job.mutable_effective_spec()->mutable_warm_start()->set_checkpoint("fineTuningJobs/j0/checkpoints/3");
                  },
                  "spec.warm_start.part", {"began with another job's weights, which hyperparameters.l2_sp needs"}}),
    NameOf);

}  // namespace
}  // namespace attune::jobs
