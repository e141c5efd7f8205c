#include "server/training/input/targets.h"

#include <stdexcept>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace attune::training {

examples::ExampleView ReadRow(const examples::ExampleReader& reader, examples::Split split, int64_t row) {
  absl::StatusOr<examples::ExampleView> view = reader.View(split, row);
  if (!view.ok()) {
    throw std::runtime_error(absl::StrCat("row ", row, " of split ", examples::SplitName(split), " cannot be read: ", std::string(view.status().message()),
                                          "; import the dataset again"));
  }
  return *std::move(view);
}

at::Tensor ReadTargets(const TargetFunction& function, const examples::ExampleReader& reader, examples::Split split, const std::vector<int64_t>& rows) {
  if (!function) return {};
  std::vector<examples::Example> examples;
  examples.reserve(rows.size());
  for (const int64_t row : rows) {
    examples::ExampleView view = ReadRow(reader, split, row);
    examples::Example example;  // without the image: labels are what targets are made of
    example.text = view.text;
    example.labels = std::move(view.labels);
    example.value = view.value;
    example.file = view.file;
    example.line = view.line;
    examples.push_back(std::move(example));
  }
  std::vector<const examples::Example*> pointers;
  for (const examples::Example& example : examples) pointers.push_back(&example);
  return function(pointers);
}

}  // namespace attune::training
