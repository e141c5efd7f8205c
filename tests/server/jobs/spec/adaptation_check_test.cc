// Class balance, L2-SP, the average of the weights, rates of groups, and gradual unfreezing.
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

const double kNan = std::nan("");

v1::Hyperparameters& Hyper(SpecCheckInput& input) { return *input.spec.mutable_hyperparameters(); }

TEST(AdaptationCheck, NothingIsTheDefault) {
  const SpecCheckResult result = CheckSpec(ValidInput());
  ASSERT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  const v1::Hyperparameters& h = result.effective.hyperparameters();
  EXPECT_EQ(h.class_balance(), v1::CLASS_BALANCE_NONE);
  EXPECT_THAT(h.class_weights(), IsEmpty());
  EXPECT_TRUE(h.has_l2_sp());
  EXPECT_EQ(h.l2_sp(), 0);
  EXPECT_TRUE(h.has_ema_decay());
  EXPECT_EQ(h.ema_decay(), 0);
}

TEST(AdaptationCheck, WhatIsAskedForStays) {
  SpecCheckInput input = ValidInput();
  Hyper(input).set_class_balance(v1::CLASS_BALANCE_BALANCED_SAMPLING);
  Hyper(input).set_l2_sp(10);
  Hyper(input).set_ema_decay(0.9999);
  SpecCheckResult result = CheckSpec(input);
  ASSERT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_EQ(result.effective.hyperparameters().class_balance(), v1::CLASS_BALANCE_BALANCED_SAMPLING);
  EXPECT_EQ(result.effective.hyperparameters().l2_sp(), 10);
  EXPECT_EQ(result.effective.hyperparameters().ema_decay(), 0.9999);
}

// What was filled in can be asked for again.
TEST(AdaptationCheck, TheEffectiveSpecIsValid) {
  SpecCheckInput input = ValidInput();
  (*Hyper(input).mutable_class_weights())["yes"] = 1000;
  (*Hyper(input).mutable_class_weights())["no"] = 0;
  v1::Phase& phase = *input.spec.add_phases();
  (*phase.mutable_group_rates())["head"] = 100;
  (*phase.mutable_group_rates())["layer.0"] = 0.01;
  const SpecCheckResult first = CheckSpec(input);
  ASSERT_THAT(first.violations, IsEmpty()) << Text(first.violations);
  EXPECT_EQ(first.effective.hyperparameters().class_weights().at("yes"), 1000);
  EXPECT_EQ(first.effective.phases(0).group_rates().at("layer.0"), 0.01);
  input.spec = first.effective;
  const SpecCheckResult second = CheckSpec(input);
  EXPECT_THAT(second.violations, IsEmpty()) << Text(second.violations);
  EXPECT_EQ(second.effective.DebugString(), first.effective.DebugString());
}

TEST(AdaptationCheck, NumbersHaveNoClasses) {
  SpecCheckInput input = ValidInput();
  MakeRegression(input);
  EXPECT_EQ(CheckSpec(input).effective.hyperparameters().class_balance(), v1::CLASS_BALANCE_NONE);
  Hyper(input).set_class_balance(v1::CLASS_BALANCE_NONE);
  EXPECT_THAT(CheckSpec(input).violations, IsEmpty());
}

TEST(AdaptationCheck, ARateOfAGroupThatDoesNotLearnIsAWarning) {
  SpecCheckInput input = ValidInput();
  v1::Phase& head = *input.spec.add_phases();
  head.mutable_trainable()->set_head_only(true);
  (*head.mutable_group_rates())["pooler"] = 2;
  v1::Phase& top = *input.spec.add_phases();
  top.mutable_trainable()->set_last_n_groups(2);  // layer.1 and pooler
  for (const char* group : {"head", "pooler", "layer.1", "layer.0"}) (*top.mutable_group_rates())[group] = 2;
  const SpecCheckResult result = CheckSpec(input);
  EXPECT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_THAT(result.warnings, ::testing::UnorderedElementsAre(HasSubstr("phases[0].group_rates[\"pooler\"] is not used"),
                                                               HasSubstr("phases[1].group_rates[\"layer.0\"] is not used")));
}

TEST(GradualUnfreezing, IsAPhaseForEachGroupFromTheTop) {
  SpecCheckInput input = ValidInput();
  Hyper(input).set_n_epochs(4);
  input.spec.mutable_gradual_unfreezing()->set_epochs_per_group(2);
  input.spec.mutable_gradual_unfreezing()->set_layer_decay(0.4);
  const SpecCheckResult result = CheckSpec(input);
  ASSERT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_FALSE(result.effective.has_gradual_unfreezing()) << "the phases stand in its place";
  std::vector<std::string> names;
  for (const v1::Phase& phase : result.effective.phases()) {
    names.push_back(phase.name());
    EXPECT_EQ(phase.layer_decay(), 0.4);
    EXPECT_EQ(phase.n_epochs(), phase.name() == "all" ? 4 : 2) << phase.name();
    EXPECT_EQ(phase.learning_rate(), phase.name() == "head" ? 1e-3 : 5e-5) << phase.name();
  }
  EXPECT_THAT(names, ::testing::ElementsAre("head", "pooler", "layer.1", "layer.0", "all"));
  EXPECT_TRUE(result.effective.phases(0).trainable().head_only());
  EXPECT_EQ(result.effective.phases(1).trainable().last_n_groups(), 1);
  EXPECT_EQ(result.effective.phases(3).trainable().last_n_groups(), 3);
  EXPECT_TRUE(result.effective.phases(4).trainable().all());
  input.spec = result.effective;
  EXPECT_THAT(CheckSpec(input).violations, IsEmpty());
}

TEST(GradualUnfreezing, AnEmptyOneIsAnEpochForEachGroup) {
  SpecCheckInput input = ValidInput();
  input.spec.mutable_gradual_unfreezing();
  const SpecCheckResult result = CheckSpec(input);
  ASSERT_EQ(result.effective.phases_size(), 5);
  EXPECT_EQ(result.effective.phases(1).n_epochs(), 1);
  EXPECT_EQ(result.effective.phases(1).layer_decay(), 1);
  EXPECT_EQ(result.effective.phases(4).n_epochs(), 3);
}

class AdaptationFaults : public ::testing::TestWithParam<FaultCase> {};
TEST_P(AdaptationFaults, AreToldOnceByFieldAndWords) { ExpectOnlyFault(ValidInput(), GetParam()); }

FaultCase Weight(const std::string& name, const std::string& label, double weight, std::vector<std::string> words) {
  return {name, [=](SpecCheckInput& i) { (*Hyper(i).mutable_class_weights())[label] = weight; }, "spec.hyperparameters.class_weights[\"" + label + "\"]", std::move(words)};
}

FaultCase Rate(const std::string& name, const std::string& group, double rate, std::vector<std::string> words) {
  return {name, [=](SpecCheckInput& i) { (*i.spec.add_phases()->mutable_group_rates())[group] = rate; }, "spec.phases[0].group_rates[\"" + group + "\"]", std::move(words)};
}

std::vector<FaultCase> Cases() {
  const std::string h = "spec.hyperparameters.";
  return {
      {"Balance", [](SpecCheckInput& i) { Hyper(i).set_class_balance(static_cast<v1::ClassBalance>(9)); }, h + "class_balance", {"9", "BALANCED_SAMPLING"}},
      {"BalanceOfNumbers", [](SpecCheckInput& i) { MakeRegression(i); Hyper(i).set_class_balance(v1::CLASS_BALANCE_WEIGHTED_LOSS); }, h + "class_balance", {"text-regression"}},
      {"WeightsOfNumbers", [](SpecCheckInput& i) { MakeRegression(i); (*Hyper(i).mutable_class_weights())["yes"] = 2; }, h + "class_weights", {"text-regression"}},
      {"BalanceAndWeights", [](SpecCheckInput& i) {
         Hyper(i).set_class_balance(v1::CLASS_BALANCE_WEIGHTED_LOSS);
         (*Hyper(i).mutable_class_weights())["yes"] = 2;
       }, h + "class_weights", {"class_balance is set too"}},
      Weight("UnknownClass", "yess", 2, {"no class of datasets/d", "did you mean \"yes\"", "no, yes"}),
      Weight("NegativeWeight", "yes", -1, {"0 to 1000, not -1"}),
      Weight("HugeWeight", "yes", 1001, {"1001"}),
      Weight("NanWeight", "yes", kNan, {"nan"}),
      {"NoWeightAtAll", [](SpecCheckInput& i) { for (const char* name : {"no", "yes"}) (*Hyper(i).mutable_class_weights())[name] = 0; }, h + "class_weights", {"every class weighs 0"}},
      {"NegativeL2Sp", [](SpecCheckInput& i) { Hyper(i).set_l2_sp(-0.1); }, h + "l2_sp", {"0 to 10"}},
      {"HugeL2Sp", [](SpecCheckInput& i) { Hyper(i).set_l2_sp(10.5); }, h + "l2_sp", {"10.5"}},
      {"NanL2Sp", [](SpecCheckInput& i) { Hyper(i).set_l2_sp(kNan); }, h + "l2_sp", {"nan"}},
      {"EmaOfOne", [](SpecCheckInput& i) { Hyper(i).set_ema_decay(1); }, h + "ema_decay", {"0 to below 1"}},
      {"NegativeEma", [](SpecCheckInput& i) { Hyper(i).set_ema_decay(-0.5); }, h + "ema_decay", {"-0.5"}},
      {"NanEma", [](SpecCheckInput& i) { Hyper(i).set_ema_decay(kNan); }, h + "ema_decay", {"nan"}},
      Rate("RateOfNothing", "head", 0, {"over 0", "trainable.freeze"}),
      Rate("NegativeGroupRate", "head", -1, {"at most 100, not -1"}),
      Rate("HugeGroupRate", "layer.0", 101, {"101"}),
      Rate("NanGroupRate", "layer.0", kNan, {"nan"}),
      Rate("UnknownGroup", "layer.9", 2, {"no layer group of models/m", "did you mean \"layer.", "pooler, head"}),
      {"RatesAndDecay", [](SpecCheckInput& i) {
         v1::Phase& phase = *i.spec.add_phases();
         phase.set_layer_decay(0.9);
         (*phase.mutable_group_rates())["head"] = 2;
       }, "spec.phases[0].group_rates", {"layer_decay is below 1 too"}},
      {"UnfreezingAndPhases", [](SpecCheckInput& i) { i.spec.add_phases(); i.spec.mutable_gradual_unfreezing(); }, "spec.gradual_unfreezing", {"phases are given too"}},
      {"UnfreezingBackwards", [](SpecCheckInput& i) { i.spec.mutable_gradual_unfreezing()->set_epochs_per_group(-1); }, "spec.gradual_unfreezing.epochs_per_group", {"1 to 1000"}},
      {"UnfreezingForever", [](SpecCheckInput& i) { i.spec.mutable_gradual_unfreezing()->set_epochs_per_group(1001); }, "spec.gradual_unfreezing.epochs_per_group", {"1001"}},
      {"UnfreezingDecay", [](SpecCheckInput& i) { i.spec.mutable_gradual_unfreezing()->set_layer_decay(1.5); }, "spec.gradual_unfreezing.layer_decay", {"at most 1"}},
      {"UnfreezingNan", [](SpecCheckInput& i) { i.spec.mutable_gradual_unfreezing()->set_layer_decay(kNan); }, "spec.gradual_unfreezing.layer_decay", {"nan"}},
      {"UnfreezingOfTooManyGroups", [](SpecCheckInput& i) {
         for (int n = 0; n < 100; ++n) i.layers.push_back(MakeLayer("extra." + std::to_string(n), "extra." + std::to_string(n)));
         i.spec.mutable_gradual_unfreezing();
       }, "spec.gradual_unfreezing", {"105 phases", "100"}},
  };
}

INSTANTIATE_TEST_SUITE_P(All, AdaptationFaults, ::testing::ValuesIn(Cases()), NameOf);

}  // namespace
}  // namespace attune::jobs
