#include "server/training/steps/frozen_prefix.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/sha256.h"
#include "server/training/input/prefetcher.h"
#include "server/training/steps/out_of_memory.h"
#include "server/training/steps/precision.h"
#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

template <typename Named>  // Parameter or Buffer
void AddTo(Sha256& hash, const std::vector<Named>& tensors, int groups) {
  for (const Named& named : tensors) {
    if (named.group >= groups) continue;
    const at::Tensor values = named.tensor.detach().to(at::kCPU).contiguous();
    hash.Update(absl::StrCat(named.name, " [", absl::StrJoin(values.sizes(), ","), "] "));
    hash.Update(std::string_view(static_cast<const char*>(values.const_data_ptr()), values.nbytes()));
  }
}

// Output of one batch as dense fp32 rows in the order of the split.
at::Tensor RowsInOrder(const at::Tensor& output, const Batch& batch) {
  const at::Tensor values = output.to(at::kCPU, at::kFloat).contiguous();
  const int64_t first = *std::min_element(batch.example_indices.begin(), batch.example_indices.end());
  std::vector<int64_t> places;
  for (const int64_t index : batch.example_indices) places.push_back(index - first);
  at::Tensor rows = at::empty_like(values);
  rows.index_copy_(0, at::from_blob(places.data(), {batch.rows}, at::TensorOptions().dtype(at::kLong)), values);
  return rows;
}

}  // namespace

int FrozenGroups(const Model& model) {
  int lowest = static_cast<int>(model.groups().size());
  for (const Parameter& parameter : model.parameters()) {
    if (parameter.tensor.requires_grad()) lowest = std::min(lowest, parameter.group);
  }
  int groups = 0;
  for (const int cut : model.cut_points()) {
    if (cut <= lowest) groups = std::max(groups, cut);
  }
  return groups;
}

std::string PrefixDigest(const Model& model, int groups) {
  Sha256 hash;
  AddTo(hash, model.parameters(), groups);
  AddTo(hash, model.buffers(), groups);
  return hash.HexDigest();
}

std::shared_ptr<const FeatureTable> ComputePrefix(Model& model, int groups, const BatchSource& plain, int64_t rows, const EvaluateOptions& options,
                                                  const std::string& key, FeatureStore& store, const std::function<bool()>& stop_requested) {
  at::NoGradGuard no_grad;
  Prefetcher loader([&](int64_t i) { return plain.Make(0, i); }, 0, plain.batches_per_epoch(),
                    {.depth = 2 * options.loader_threads + 2, .threads = options.loader_threads});
  std::unique_ptr<FeatureWriter> writer;
  int parts = 1;
  while (true) {
    if (stop_requested()) return nullptr;
    const std::optional<Batch> batch = loader.Next();
    if (!batch.has_value()) break;
    at::Tensor output;
    {
      AutocastGuard autocast(options.device, options.precision);
      output = RowsInOrder(RunInParts(ToDevice(*batch, options.device), parts, [&](const Batch& part) { return model.Prefix(part, groups); }), *batch);
    }
    if (writer == nullptr) {
      absl::StatusOr<std::unique_ptr<FeatureWriter>> created = store.Create(key, rows, output.sizes().slice(1).vec());
      ThrowIfError(created.status());
      if (*created == nullptr) return nullptr;
      writer = *std::move(created);
    }
    ThrowIfError(writer->Append(output.const_data_ptr<float>(), batch->rows));
  }
  if (writer == nullptr) return nullptr;  // no rows
  auto table = writer->Finish();
  ThrowIfError(table.status());
  return *std::move(table);
}

}  // namespace attune::training
