#include "server/architectures/architecture.h"

#include <algorithm>
#include <utility>

namespace attune::architectures {

const char* ModalityName(Modality modality) { return modality == Modality::kText ? "text" : "image"; }

int64_t ParameterShape::value_count() const {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;  // describe() has bounded them
  return count;
}

std::string CanonicalName(const Architecture& architecture, std::string_view name) {
  std::string modern = architecture.modern_name ? architecture.modern_name(name) : std::string(name);
  if (modern.compare(0, architecture.prefix.size(), architecture.prefix) == 0)
    modern.erase(0, architecture.prefix.size());
  return modern;
}

ArchitectureRegistry& ArchitectureRegistry::Get() {
  static auto& registry = *new ArchitectureRegistry();
  return registry;
}

bool ArchitectureRegistry::Register(Architecture architecture) {
  architectures_.push_back(std::move(architecture));
  return true;
}

bool ArchitectureRegistry::Register(std::vector<Architecture> family) {
  for (Architecture& architecture : family) Register(std::move(architecture));
  return true;
}

const Architecture* ArchitectureRegistry::Find(std::string_view name) const {
  const auto found =
      std::find_if(architectures_.begin(), architectures_.end(), [&](const Architecture& a) { return a.name == name; });
  return found == architectures_.end() ? nullptr : &*found;
}

std::vector<std::string> ArchitectureRegistry::Names() const {
  std::vector<std::string> names;
  for (const Architecture& architecture : architectures_) names.push_back(architecture.name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace attune::architectures
