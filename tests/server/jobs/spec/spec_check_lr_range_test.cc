// Learning-rate range tests: what is filled in, and what is refused.
#include <cmath>

#include "tests/server/jobs/spec/spec_check_fixture.h"

namespace attune::jobs {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SpecCheckInput RangeInput() {
  SpecCheckInput input = ValidInput();
  input.spec.mutable_lr_range_test();
  return input;
}

TEST(SpecCheckLrRange, FillsInEveryDefaultAndOnePhase) {
  SpecCheckResult result = CheckSpec(RangeInput());
  ASSERT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_THAT(result.warnings, IsEmpty());
  EXPECT_EQ(result.effective.lr_range_test().min_learning_rate(), 1e-7);
  EXPECT_EQ(result.effective.lr_range_test().max_learning_rate(), 1);
  EXPECT_EQ(result.effective.lr_range_test().steps(), 100);
  ASSERT_EQ(result.effective.phases_size(), 1);
  EXPECT_EQ(result.effective.phases(0).name(), "range-test");
  EXPECT_EQ(result.effective.phases(0).max_steps(), 100);
  EXPECT_TRUE(result.effective.phases(0).trainable().all());
  EXPECT_FALSE(CheckSpec(ValidInput()).effective.has_lr_range_test());
}

TEST(SpecCheckLrRange, WhatThePhaseTrainsStaysAndItsLengthDoesNot) {
  SpecCheckInput input = RangeInput();
  input.spec.mutable_lr_range_test()->set_steps(10);
  input.spec.mutable_lr_range_test()->set_max_learning_rate(100);
  v1::Phase& phase = *input.spec.add_phases();
  phase.set_name("top");
  phase.mutable_trainable()->set_last_n_groups(1);
  phase.set_n_epochs(3);
  phase.set_learning_rate(1e-3);
  SpecCheckResult result = CheckSpec(input);
  ASSERT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  ASSERT_EQ(result.effective.phases_size(), 1);
  EXPECT_EQ(result.effective.phases(0).name(), "top");
  EXPECT_EQ(result.effective.phases(0).trainable().last_n_groups(), 1);
  EXPECT_EQ(result.effective.phases(0).max_steps(), 10);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("its end is not used")));
  EXPECT_THAT(result.warnings, Contains(HasSubstr("phases[0].learning_rate is not used")));
}

class LrRangeFaults : public ::testing::TestWithParam<FaultCase> {};
TEST_P(LrRangeFaults, AreToldOnceByFieldAndWords) { ExpectOnlyFault(RangeInput(), GetParam()); }

FaultCase Fault(const std::string& name, std::function<void(v1::LrRangeTestSpec&)> change, const std::string& field, std::vector<std::string> words) {
  return {name, [change](SpecCheckInput& i) { change(*i.spec.mutable_lr_range_test()); }, "spec.lr_range_test." + field, std::move(words)};
}

INSTANTIATE_TEST_SUITE_P(
    All, LrRangeFaults,
    ::testing::Values(
        Fault("NegativeMin", [](auto& t) { t.set_min_learning_rate(-1e-3); }, "min_learning_rate", {"over 0", "-0.001"}),
        Fault("NanMin", [](auto& t) { t.set_min_learning_rate(std::nan("")); }, "min_learning_rate", {"nan"}),
        Fault("NegativeMax", [](auto& t) { t.set_max_learning_rate(-1); }, "max_learning_rate", {"over 0 and at most 100, not -1"}),
        Fault("LargeMax", [](auto& t) { t.set_max_learning_rate(101); }, "max_learning_rate", {"at most 100, not 101"}),
        Fault("NanMax", [](auto& t) { t.set_max_learning_rate(std::nan("")); }, "max_learning_rate", {"nan"}),
        Fault("EmptyRange", [](auto& t) { t.set_min_learning_rate(0.1); t.set_max_learning_rate(0.1); }, "max_learning_rate", {"over min_learning_rate (0.1), not 0.1"}),
        Fault("FewSteps", [](auto& t) { t.set_steps(9); }, "steps", {"10 to 10000, not 9"}), Fault("ManySteps", [](auto& t) { t.set_steps(10001); }, "steps", {"not 10001"}),
        Fault("NegativeSteps", [](auto& t) { t.set_steps(-1); }, "steps", {"not -1"}),
        FaultCase{"SeveralPhases", [](SpecCheckInput& i) { i.spec.add_phases(); i.spec.add_phases(); }, "spec.lr_range_test", {"one phase, and the job has 2"}},
        FaultCase{"Unfreezing", [](SpecCheckInput& i) { i.spec.mutable_gradual_unfreezing(); }, "spec.lr_range_test", {"gradual_unfreezing makes several"}},
        FaultCase{"MaxSteps", [](SpecCheckInput& i) { i.spec.mutable_hyperparameters()->set_max_steps(50); }, "spec.hyperparameters.max_steps", {"leave it out"}}),
    NameOf);

}  // namespace
}  // namespace attune::jobs
