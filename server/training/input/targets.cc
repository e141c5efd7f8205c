#include "server/training/input/targets.h"

#include <stdexcept>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace attune::training {

at::Tensor ReadTargets(const TargetFunction& function, const examples::ExampleReader& reader, examples::Split split, const std::vector<int64_t>& rows) {
  if (!function) return {};
  std::vector<examples::Example> examples;
  examples.reserve(rows.size());
  for (const int64_t row : rows) {
    absl::StatusOr<examples::Example> example = reader.Get(split, row);
    if (!example.ok()) {
      throw std::runtime_error(absl::StrCat("row ", row, " of split ", examples::SplitName(split), " cannot be read: ", std::string(example.status().message()),
                                            "; import the dataset again"));
    }
    example->image = std::string();  // labels are all that targets are made of
    examples.push_back(*std::move(example));
  }
  std::vector<const examples::Example*> pointers;
  for (const examples::Example& example : examples) pointers.push_back(&example);
  return function(pointers);
}

}  // namespace attune::training
