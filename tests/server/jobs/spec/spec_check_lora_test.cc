// Low-rank adapters: what is filled in, and what is refused.
#include <cmath>

#include "tests/server/jobs/spec/spec_check_fixture.h"

namespace attune::jobs {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// The small BERT, with shapes.
SpecCheckInput LoraInput() {
  SpecCheckInput input = ValidInput();
  for (v1::Layer& layer : input.layers) {
    layer.add_shape(16);
    layer.add_shape(16);
  }
  input.layers.push_back(MakeLayer("pooler.dense.bias", "pooler"));
  input.layers.back().add_shape(16);
  input.spec.mutable_lora();
  return input;
}

TEST(SpecCheckLora, FillsInEveryDefault) {
  SpecCheckResult result = CheckSpec(LoraInput());
  ASSERT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_THAT(result.warnings, IsEmpty());
  EXPECT_EQ(result.effective.lora().r(), 8);
  EXPECT_EQ(result.effective.lora().alpha(), 16);
  EXPECT_FALSE(CheckSpec(ValidInput()).effective.has_lora());
}

TEST(SpecCheckLora, WhatIsAskedForStays) {
  SpecCheckInput input = LoraInput();
  input.spec.mutable_lora()->set_r(256);
  input.spec.mutable_lora()->set_alpha(0.5);
  for (const char* pattern : {"encoder.*", "bert.pooler.dense.weight", "pooler.*"}) input.spec.mutable_lora()->add_target_modules(pattern);
  SpecCheckResult result = CheckSpec(input);
  ASSERT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_EQ(result.effective.lora().r(), 256);
  EXPECT_EQ(result.effective.lora().alpha(), 0.5);
  EXPECT_EQ(result.effective.lora().target_modules_size(), 3);
}

TEST(SpecCheckLora, AJobOfTheHeadAloneIsWarnedOf) {
  SpecCheckInput input = LoraInput();
  input.spec.add_phases()->mutable_trainable()->set_head_only(true);
  EXPECT_THAT(CheckSpec(input).warnings, Contains(HasSubstr("no adapter learns")));
  input.spec.add_phases()->mutable_trainable()->set_last_n_groups(3);
  EXPECT_THAT(CheckSpec(input).warnings, Not(Contains(HasSubstr("no adapter learns"))));
}

class LoraFaults : public ::testing::TestWithParam<FaultCase> {};
TEST_P(LoraFaults, AreToldOnceByFieldAndWords) { ExpectOnlyFault(LoraInput(), GetParam()); }

FaultCase Fault(const std::string& name, std::function<void(v1::LoraSpec&)> change, const std::string& field, std::vector<std::string> words) {
  return {name, [change](SpecCheckInput& i) { change(*i.spec.mutable_lora()); }, "spec.lora." + field, std::move(words)};
}

INSTANTIATE_TEST_SUITE_P(
    All, LoraFaults,
    ::testing::Values(
        Fault("NegativeRank", [](auto& l) { l.set_r(-1); }, "r", {"1 to 256, not -1"}), Fault("LargeRank", [](auto& l) { l.set_r(257); }, "r", {"not 257"}),
        Fault("NegativeAlpha", [](auto& l) { l.set_alpha(-1); }, "alpha", {"over 0", "not -1"}),
        Fault("NanAlpha", [](auto& l) { l.set_alpha(std::nan("")); }, "alpha", {"nan"}),
        Fault("InfiniteAlpha", [](auto& l) { l.set_alpha(INFINITY); }, "alpha", {"at most 65536"}),
        Fault("NoMatch", [](auto& l) { l.add_target_modules("encoder.*"); l.add_target_modules("decoder.*"); }, "target_modules[1]",
              {"\"decoder.*\" matches no weight of a linear layer or a convolution of models/m"}),
        Fault("Embeddings", [](auto& l) { l.add_target_modules("embeddings.*"); }, "target_modules[0]", {"matches no weight of a linear layer"}),
        Fault("Biases", [](auto& l) { l.add_target_modules("*.bias"); }, "target_modules[0]", {"matches no weight of a linear layer"}),
        Fault("BadGlob", [](auto& l) { l.add_target_modules("layer.[0"); }, "target_modules[0]", {"]"}),
        Fault("LongPattern", [](auto& l) { l.add_target_modules(std::string(600, '*')); }, "target_modules[0]", {"512"}),
        Fault("ManyPatterns", [](auto& l) { for (int n = 0; n < 257; ++n) l.add_target_modules("*"); }, "target_modules", {"257", "256"}),
        FaultCase{"L2Sp", [](SpecCheckInput& i) { i.spec.mutable_hyperparameters()->set_l2_sp(0.1); }, "spec.hyperparameters.l2_sp", {"with lora"}},
        FaultCase{"Average", [](SpecCheckInput& i) { i.spec.mutable_hyperparameters()->set_ema_decay(0.9); }, "spec.hyperparameters.ema_decay", {"with lora"}},
        FaultCase{"NoUsualTarget", [](SpecCheckInput& i) { i.layers = {i.layers[0], i.layers[3]}; }, "spec.lora.target_modules",
                  {"is required for models/m", "neither attention nor 1 x 1 convolutions"}}),
    NameOf);

}  // namespace
}  // namespace attune::jobs
