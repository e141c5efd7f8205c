#include "server/scheduler/requests/plan_facts.h"

#include <string>

#include "server/base/str_cat.h"
#include "server/scheduler/policy/quantities.h"
#include "server/scheduler/requests/message_digest.h"

namespace attune::scheduler {
namespace {

// Besides those that keep_last keeps: the best, the last, and one that is being written.
constexpr int64_t kMoreCheckpoints = 3;

std::string Need(const v1::PlanFineTuningJobResponse& plan) {
  const std::string needs = StrCat("needs ", BinaryBytes(plan.memory().peak_bytes()));
  return plan.memory_limit_bytes() > 0 ? StrCat(needs, " of ", BinaryBytes(plan.memory_limit_bytes())) : needs;
}

std::string Time(const v1::PlanFineTuningJobResponse& plan) {
  return StrCat("about ", AboutSeconds(plan.total_seconds()), " (", AboutSeconds(plan.total_seconds_low()), " to ", AboutSeconds(plan.total_seconds_high()), ")");
}

std::string Smaller(const v1::FineTuningSpec& spec, const v1::PlanFineTuningJobResponse& plan) {
  if (plan.accumulation_steps() == 0) {
    return "not even one row at a time: choose a smaller model, a smaller max_length or image_size, fewer layers that learn, or lora";
  }
  const int64_t rows = int64_t{spec.hyperparameters().batch_size()} * spec.hyperparameters().gradient_accumulation_steps();
  return StrCat("use batch_size ", rows / plan.accumulation_steps(), " with gradient_accumulation_steps ", plan.accumulation_steps(),
                ", which gives the same steps; ", Time(plan));
}

}  // namespace

std::string MemoryKey(const v1::FineTuningSpec& effective_spec) {
  v1::FineTuningSpec spec = effective_spec;
  spec.clear_seed();
  spec.clear_scheduling();
  spec.mutable_resources()->clear_memory_bytes();
  spec.mutable_hyperparameters()->clear_learning_rate();
  for (v1::Phase& phase : *spec.mutable_phases()) phase.clear_learning_rate();
  return MessageDigest(spec);
}

void AddFacts(const v1::FineTuningSpec& effective_spec, int64_t disk_free_bytes, v1::PlanFineTuningJobResponse* plan) {
  *plan->mutable_effective_spec() = effective_spec;
  plan->set_disk_bytes(plan->checkpoint_bytes() * (effective_spec.checkpointing().keep_last() + kMoreCheckpoints));
  plan->set_disk_free_bytes(disk_free_bytes);
  std::string summary =
      plan->fits() ? StrCat("fits: ", Need(*plan), "; ", Time(*plan)) : StrCat("does not fit: ", Need(*plan), "; ", Smaller(effective_spec, *plan));
  if (plan->disk_bytes() > disk_free_bytes) {
    StrAppend(&summary, "; its checkpoints take up to ", BinaryBytes(plan->disk_bytes()), " of disk, and ", BinaryBytes(disk_free_bytes),
              " are free: lower keep_last, or make room");
  }
  plan->set_summary(std::move(summary));
}

}  // namespace attune::scheduler
