#include <algorithm>
#include <utility>

#include "server/training/models/model.h"

namespace attune::training {

ModelRegistry& ModelRegistry::Get() {
  static ModelRegistry* registry = new ModelRegistry;  // never destroyed: registration happens before main, look-ups may happen at exit
  return *registry;
}

bool ModelRegistry::Register(ModelFactory factory) {
  factories_.push_back(std::move(factory));
  return true;
}

const ModelFactory* ModelRegistry::Find(const std::string& architecture) const {
  for (const ModelFactory& factory : factories_) {
    if (factory.architecture == architecture) return &factory;
  }
  return nullptr;
}

std::vector<const ModelFactory*> ModelRegistry::All() const {
  std::vector<const ModelFactory*> all;
  for (const ModelFactory& factory : factories_) all.push_back(&factory);
  std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) { return a->architecture < b->architecture; });
  return all;
}

}  // namespace attune::training
