// Which architecture a checkpoint's tensors look like, for errors that name what the file probably is. Pure; thread-safe.
//
//   const Likeness closest = ClosestArchitecture({{"conv1.weight", {64, 3, 7, 7}}, ...});
//   if (closest.same >= kAlike) StrAppend(&message, "; the tensors look like those of ", closest.architecture->name);
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/architectures/architecture.h"

namespace attune::architectures {

inline constexpr double kAlike = 0.5;  // from here on a file may be said to look like an architecture

struct NamedShape {
  std::string name;  // as in the checkpoint
  std::vector<int64_t> shape;
};

// Shares are Dice's: twice what both have, over what the one has and what the other has. 1 where all agree, 0 where nothing does.
struct Likeness {
  const Architecture* architecture = nullptr;  // null: no tensor has the name of any
  double same = 0;                             // share of tensors with the same name and shape
  double named = 0;                            // share of tensors with the same name
};

// Whether a tensor, by its canonical name, belongs to the head or the auxiliary head: one linear layer ("fc.weight"), or
// several ("fc.4.weight").
bool IsOfHead(const Architecture& architecture, std::string_view name);

// Of a file and one layout. The head, which no layout has, and BatchNorm's counters, which files may lack, are not counted.
Likeness LikenessTo(const std::vector<NamedShape>& tensors, const Architecture& architecture, const ModelLayout& layout);

// The registered architecture whose default layout (of a config.json that says model_type alone) is most alike: first by
// `same`, then by `named`, then by name.
Likeness ClosestArchitecture(const std::vector<NamedShape>& tensors);

}  // namespace attune::architectures
