// Rows of a dataset, and targets of a batch: what a task makes of its examples' labels. Called on loader threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/examples/example.h"

namespace attune::training {

// From examples in batch order. Null: batches have no targets (prediction, features).
using TargetFunction = std::function<at::Tensor(const std::vector<const examples::Example*>&)>;

// A row of a split. Throws std::runtime_error where the dataset is damaged.
examples::ExampleView ReadRow(const examples::ExampleReader& reader, examples::Split split, int64_t row);

// Targets of `rows` of a split; undefined where `function` is null. Images are not read. Throws as ReadRow.
at::Tensor ReadTargets(const TargetFunction& function, const examples::ExampleReader& reader, examples::Split split, const std::vector<int64_t>& rows);

}  // namespace attune::training
