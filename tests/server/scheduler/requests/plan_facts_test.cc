// What the server adds to a plan.
#include "server/scheduler/requests/plan_facts.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::scheduler {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kGibibyte = int64_t{1} << 30;

v1::FineTuningSpec Spec() {
  v1::FineTuningSpec spec;
  spec.mutable_hyperparameters()->set_batch_size(32);
  spec.mutable_hyperparameters()->set_gradient_accumulation_steps(2);
  spec.mutable_checkpointing()->set_keep_last(2);
  return spec;
}

v1::PlanFineTuningJobResponse Plan() {
  v1::PlanFineTuningJobResponse plan;
  plan.mutable_memory()->set_peak_bytes(kGibibyte * 31 / 10);
  plan.set_memory_limit_bytes(24 * kGibibyte);
  plan.set_fits(true);
  plan.set_largest_batch_size(32);
  plan.set_accumulation_steps(2);
  plan.set_total_seconds(840);
  plan.set_total_seconds_low(720);
  plan.set_total_seconds_high(960);
  plan.set_checkpoint_bytes(100);
  return plan;
}

TEST(PlanFacts, WhatFits) {
  v1::PlanFineTuningJobResponse plan = Plan();
  AddFacts(Spec(), 5000, &plan);
  EXPECT_EQ(plan.summary(), "fits: needs 3.1 GiB of 24 GiB; about 14 min (12 min to 16 min)");
  EXPECT_EQ(plan.disk_bytes(), 500) << "the best, the last, two more, and one being written";
  EXPECT_EQ(plan.disk_free_bytes(), 5000);
  EXPECT_EQ(plan.effective_spec().hyperparameters().batch_size(), 32);
}

TEST(PlanFacts, WhatDoesNotFitSaysWhatWould) {
  v1::PlanFineTuningJobResponse plan = Plan();
  plan.set_fits(false);
  plan.set_memory_limit_bytes(2 * kGibibyte);
  plan.set_largest_batch_size(10);
  plan.set_accumulation_steps(8);
  AddFacts(Spec(), 5000, &plan);
  EXPECT_THAT(plan.summary(), HasSubstr("does not fit: needs 3.1 GiB of 2.0 GiB; use batch_size 8 with gradient_accumulation_steps 8"));
  EXPECT_THAT(plan.summary(), HasSubstr("about 14 min"));
  plan.set_largest_batch_size(0);
  plan.set_accumulation_steps(0);
  AddFacts(Spec(), 5000, &plan);
  EXPECT_THAT(plan.summary(), HasSubstr("not even one row at a time: choose a smaller model"));
}

TEST(PlanFacts, AFullDiskIsSaid) {
  v1::PlanFineTuningJobResponse plan = Plan();
  AddFacts(Spec(), 500, &plan);
  EXPECT_THAT(plan.summary(), Not(HasSubstr("disk")));
  AddFacts(Spec(), 499, &plan);
  EXPECT_THAT(plan.summary(), HasSubstr("lower keep_last"));
}

TEST(PlanFacts, AnUnknownLimitIsNotSaid) {
  v1::PlanFineTuningJobResponse plan = Plan();
  plan.set_memory_limit_bytes(0);
  AddFacts(Spec(), 5000, &plan);
  EXPECT_THAT(plan.summary(), HasSubstr("needs 3.1 GiB; "));
}

TEST(MemoryKey, IsOfWhatDecidesHowMuchAJobTakes) {
  v1::FineTuningSpec spec = Spec(), sweep = Spec(), larger = Spec();
  sweep.set_seed(9);
  sweep.mutable_hyperparameters()->set_learning_rate(1e-3);
  sweep.mutable_scheduling()->set_priority(3);
  sweep.mutable_resources()->set_memory_bytes(1);
  spec.mutable_resources();
  EXPECT_EQ(MemoryKey(spec), MemoryKey(sweep));
  EXPECT_EQ(MemoryKey(Spec()), MemoryKey(sweep)) << "an empty message is none";
  larger.mutable_hyperparameters()->set_batch_size(33);
  EXPECT_NE(MemoryKey(spec), MemoryKey(larger));
}

}  // namespace
}  // namespace attune::scheduler
