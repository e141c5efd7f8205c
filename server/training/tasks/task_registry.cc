#include <utility>

#include "server/training/tasks/task.h"

namespace attune::training {

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

bool LargerIsBetter(const std::string& metric) { return metric != "loss" && metric != "mse"; }

}  // namespace attune::training
