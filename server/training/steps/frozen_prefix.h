// The frozen prefix of a phase: the layer groups below the lowest one that learns. They run in evaluation mode, so where their input is fixed too, their output can be
// computed once and read ever after. The training thread alone; batches are made ahead on threads of their own.
//
//   const int groups = FrozenGroups(model);                              // requires_grad says what learns
//   std::string digest = PrefixDigest(model, groups);                    // part of the key
//   auto table = ComputePrefix(model, groups, plain_batches, rows, options, key, store, stop_requested);
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "server/training/input/batch.h"
#include "server/training/input/feature_store.h"
#include "server/training/models/model.h"
#include "server/training/steps/evaluate.h"

namespace attune::training {

// The topmost of the model's cut points below which nothing learns; 0 when there is none.
int FrozenGroups(const Model& model);

// SHA-256 over names, shapes and values of the first `groups` groups' parameters and buffers.
std::string PrefixDigest(const Model& model, int groups);

// Runs the prefix over all rows of a split and writes its output to the store. `plain` must not shuffle. Null when `stop_requested` (asked before each batch) said to
// stop, or when the table does not fit into the store. Throws TrainingError when it cannot be written, and passes on what batches and model throw.
std::shared_ptr<const FeatureTable> ComputePrefix(Model& model, int groups, const BatchSource& plain, int64_t rows, const EvaluateOptions& options,
                                                  const std::string& key, FeatureStore& store, const std::function<bool()>& stop_requested);

}  // namespace attune::training
