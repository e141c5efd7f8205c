// Replay of a second dataset: what is accepted, and what is refused.
#include <cmath>

#include "tests/server/jobs/spec/spec_check_fixture.h"

namespace attune::jobs {
namespace {

using ::testing::IsEmpty;

SpecCheckInput ReplayInput() {
  SpecCheckInput input = ValidInput();
  input.replay_dataset = input.dataset;
  input.replay_dataset.set_name("datasets/old");
  input.spec.mutable_replay()->set_dataset("datasets/old");
  input.spec.mutable_replay()->set_fraction(0.25);
  return input;
}

TEST(SpecCheckReplay, ASecondDatasetOfTheSameKindIsAccepted) {
  SpecCheckInput input = ReplayInput();
  EXPECT_THAT(CheckSpec(input).violations, IsEmpty()) << Text(CheckSpec(input).violations);
  input.replay_dataset.clear_labels();
  for (const char* label : {"rainy", "sunny", "snowy"}) input.replay_dataset.add_labels(label);
  input.spec.mutable_replay()->set_fraction(0.9);
  EXPECT_THAT(CheckSpec(input).violations, IsEmpty()) << Text(CheckSpec(input).violations);
  EXPECT_EQ(CheckSpec(input).effective.replay().dataset(), "datasets/old");
}

class ReplayFaults : public ::testing::TestWithParam<FaultCase> {};
TEST_P(ReplayFaults, AreToldOnceByFieldAndWords) { ExpectOnlyFault(ReplayInput(), GetParam()); }

FaultCase Fraction(const std::string& name, double fraction, const std::string& word) {
  return {name, [fraction](SpecCheckInput& i) { i.spec.mutable_replay()->set_fraction(fraction); }, "spec.replay.fraction", {"over 0 and at most 0.9", word}};
}
FaultCase Dataset(const std::string& name, std::function<void(SpecCheckInput&)> change, std::vector<std::string> words) {
  return {name, std::move(change), "spec.replay.dataset", std::move(words)};
}

INSTANTIATE_TEST_SUITE_P(
    All, ReplayFaults,
    ::testing::Values(
        Fraction("NoFraction", 0, "not 0"), Fraction("NegativeFraction", -0.1, "-0.1"), Fraction("LargeFraction", 0.95, "not 0.95"), Fraction("NanFraction", std::nan(""), "nan"),
        Dataset("NoDataset", [](SpecCheckInput& i) { i.spec.mutable_replay()->clear_dataset(); }, {"is required"}),
        Dataset("TheSame", [](SpecCheckInput& i) { i.spec.mutable_replay()->set_dataset("datasets/d"); }, {"is the job's dataset already"}),
        Dataset("Importing", [](SpecCheckInput& i) { i.replay_dataset.set_state(v1::Dataset::STATE_IMPORTING); }, {"datasets/old is still being imported"}),
        Dataset("Failed", [](SpecCheckInput& i) { i.replay_dataset.set_state(v1::Dataset::STATE_FAILED); i.replay_dataset.set_error("no rows"); }, {"(no rows); import it again"}),
        Dataset("NoRows", [](SpecCheckInput& i) { SetSplit(i.replay_dataset, v1::SPLIT_TRAIN, {}); }, {"has no training rows"}),
        Dataset("Images", [](SpecCheckInput& i) { i.replay_dataset.set_modality("image"); },
                {"datasets/old holds images with one class each, and datasets/d holds texts with one class each"}),
        Dataset("OtherLabels", [](SpecCheckInput& i) { i.replay_dataset.set_label_kind(v1::LABEL_KIND_REGRESSION); }, {"texts with a number each", "both must hold the same"}),
        FaultCase{"ClassWeights", [](SpecCheckInput& i) { (*i.spec.mutable_hyperparameters()->mutable_class_weights())["yes"] = 2; }, "spec.hyperparameters.class_weights",
                  {"beside replayed rows"}},
        FaultCase{"WeightedLoss", [](SpecCheckInput& i) { i.spec.mutable_hyperparameters()->set_class_balance(v1::CLASS_BALANCE_WEIGHTED_LOSS); },
                  "spec.hyperparameters.class_balance", {"beside replayed rows"}},
        FaultCase{"OneRow", [](SpecCheckInput& i) { i.spec.mutable_hyperparameters()->set_batch_size(1); }, "spec.hyperparameters.batch_size", {"at least 2 with replay"}}),
    NameOf);

}  // namespace
}  // namespace attune::jobs
