#include <algorithm>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/training/models/model.h"

namespace attune::training {

at::Tensor Model::Prefix(const Batch&, int groups) { throw std::logic_error(absl::StrCat("a prefix of ", groups, " groups: the model has no cut points")); }

const architectures::Architecture& ModelFactory::description_of() const {
  const architectures::Architecture* described = architectures::ArchitectureRegistry::Get().Find(architecture);
  if (described == nullptr) throw std::logic_error(absl::StrCat("nobody registered the layout of ", architecture));
  return *described;
}

ModelRegistry& ModelRegistry::Get() {
  static ModelRegistry* registry = new ModelRegistry;  // never destroyed: registration happens before main, look-ups may happen at exit
  return *registry;
}

bool ModelRegistry::Register(ModelFactory factory) {
  factories_.push_back(std::move(factory));
  return true;
}

bool ModelRegistry::Register(std::vector<ModelFactory> family) {
  for (ModelFactory& factory : family) Register(std::move(factory));
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
