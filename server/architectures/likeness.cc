#include "server/architectures/likeness.h"

#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/strings/match.h"

namespace attune::architectures {
namespace {

constexpr char kCounterEnding[] = "num_batches_tracked";

double Share(size_t common, size_t one, size_t other) {
  return one + other == 0 ? 0 : 2.0 * static_cast<double>(common) / static_cast<double>(one + other);
}

}  // namespace

bool IsOfHead(const Architecture& architecture, std::string_view name) {
  for (const std::string* head : {&architecture.head_name, &architecture.auxiliary_head_name}) {
    if (head->empty() || name.substr(0, head->size()) != *head) continue;
    std::string_view rest = name.substr(head->size());
    const size_t digits = rest.size() > 1 && rest[0] == '.' ? rest.find_first_not_of("0123456789", 1) : 0;
    if (digits != std::string_view::npos && digits > 1) rest.remove_prefix(digits);  // ".3"
    if (rest == ".weight" || rest == ".bias") return true;
  }
  return false;
}

Likeness LikenessTo(const std::vector<NamedShape>& tensors, const Architecture& architecture, const ModelLayout& layout) {
  std::unordered_map<std::string_view, const std::vector<int64_t>*> wanted;
  for (const auto& parameter : layout.parameters) wanted.emplace(parameter.name, &parameter.shape);
  for (const auto& buffer : layout.buffers) {
    if (buffer.kind != BufferShape::Kind::kBatchesTracked) wanted.emplace(buffer.name, &buffer.shape);
  }
  size_t counted = 0, named = 0, same = 0;
  for (const NamedShape& tensor : tensors) {
    const std::string name = CanonicalName(architecture, tensor.name);
    if (IsOfHead(architecture, name) || absl::EndsWith(name, kCounterEnding)) continue;
    ++counted;
    const auto found = wanted.find(name);
    if (found == wanted.end()) continue;
    ++named;
    if (*found->second == tensor.shape) ++same;
  }
  return {named > 0 ? &architecture : nullptr, Share(same, counted, wanted.size()),
          Share(named, counted, wanted.size())};
}

Likeness ClosestArchitecture(const std::vector<NamedShape>& tensors) {
  const ArchitectureRegistry& registry = ArchitectureRegistry::Get();
  Likeness closest;
  for (const std::string& name : registry.Names()) {
    const Architecture& architecture = *registry.Find(name);
    const auto layout = architecture.describe({{"model_type", name}});
    if (!layout.ok()) continue;  // one that has no defaults
    const Likeness likeness = LikenessTo(tensors, architecture, *layout);
    if (likeness.same > closest.same || (likeness.same == closest.same && likeness.named > closest.named))
      closest = likeness;
  }
  return closest;
}

}  // namespace attune::architectures
