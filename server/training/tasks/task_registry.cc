#include <stdexcept>
#include <utility>

#include <ATen/TensorOperators.h>

#include "server/training/tasks/task.h"

namespace attune::training {
namespace {

constexpr double kAuxiliaryWeight = 0.4;

}  // namespace

at::Tensor Task::AuxiliaryLogits(const at::Tensor&) { throw std::logic_error("this task has no auxiliary classifier"); }

at::Tensor Task::TrainingLoss(const ModelOutput& output, const Batch& batch) {
  const auto loss = [&](const at::Tensor& logits) {
    const at::Tensor own = WeightedLoss(logits, batch.targets);
    return batch.mixed_targets.defined() ? own * batch.mix + WeightedLoss(logits, batch.mixed_targets) * (1 - batch.mix) : own;
  };
  const at::Tensor main = loss(Logits(output.features, /*training=*/true));
  return output.auxiliary.defined() ? main + loss(AuxiliaryLogits(output.auxiliary)) * kAuxiliaryWeight : main;
}

TaskRegistry& TaskRegistry::Get() {
  static TaskRegistry* registry = new TaskRegistry;  // never destroyed, as ModelRegistry
  return *registry;
}

bool TaskRegistry::Register(TaskFactory factory) {
  factories_.push_back(std::move(factory));
  return true;
}

const TaskFactory* TaskRegistry::Find(const std::string& name) const {
  for (const TaskFactory& factory : factories_) {
    if (factory.name == name) return &factory;
  }
  return nullptr;
}

bool LargerIsBetter(const std::string& metric) { return metric != "loss" && metric != "mse" && metric != "mae" && metric != "ece"; }

}  // namespace attune::training
