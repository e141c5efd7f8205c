// Which weights low-rank adapters (LoRA; Hu et al. 2021) can go beside, and beside which they go where nobody says. What the spec check and the worker share. Pure.
//
//   std::vector<bool> targets = DefaultLoraTargets({{"encoder.layer.0.attention.self.query.weight", {768, 768}}, ...});
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attune::architectures {

struct NamedShape {
  std::string name;  // with or without the architecture's prefix
  std::vector<int64_t> shape;
};

// Weights of linear layers and convolutions; not tables of embeddings, norms and biases.
bool TakesLora(std::string_view name, const std::vector<int64_t>& shape);

// For each parameter whether it is a target by default: attention's query and value (Hu et al. 2021, section 4.2); in a model without attention the 1 x 1 convolutions, which
// are matrices already. All false where a model has neither.
std::vector<bool> DefaultLoraTargets(const std::vector<NamedShape>& parameters);

}  // namespace attune::architectures
