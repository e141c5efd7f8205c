#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/training/models/model.h"
#include "server/weights/safetensors.h"

namespace attune::training {
namespace {

// Checkpoints converted from TensorFlow long ago call a norm's weight gamma and its bias beta.
std::string ModernName(std::string name) {
  if (absl::EndsWith(name, ".gamma")) return name.substr(0, name.size() - 5) + "weight";
  if (absl::EndsWith(name, ".beta")) return name.substr(0, name.size() - 4) + "bias";
  return name;
}

at::ScalarType TorchType(const weights::TensorInfo& info, const std::string& path) {
  switch (info.dtype) {
    case weights::DType::kF32:
      return at::kFloat;
    case weights::DType::kF16:
      return at::kHalf;
    case weights::DType::kBF16:
      return at::kBFloat16;
    case weights::DType::kF64:
      return at::kDouble;
    default:
      throw std::invalid_argument(
          absl::StrCat(path, ": tensor ", info.name, " has type ", weights::DTypeName(info.dtype), "; weights must be F32, F16 or BF16"));
  }
}

void CopyInto(at::Tensor parameter, const weights::SafetensorsFile& file, const weights::TensorInfo& info, const std::string& path) {
  const std::vector<int64_t> expected = parameter.sizes().vec();
  if (info.shape != expected) {
    throw std::invalid_argument(absl::StrCat(path, ": tensor ", info.name, " has shape [", absl::StrJoin(info.shape, ", "), "], but config.json asks for [",
                                             absl::StrJoin(expected, ", "), "]; the two files do not belong together"));
  }
  const at::ScalarType type = TorchType(info, path);
  std::string_view bytes = file.data(info);
  std::string aligned;  // ATen reads whole values, and the format promises no alignment
  if (reinterpret_cast<uintptr_t>(bytes.data()) % at::elementSize(type) != 0) {
    aligned.assign(bytes);
    bytes = aligned;
  }
  parameter.copy_(at::from_blob(const_cast<char*>(bytes.data()), info.shape, at::TensorOptions().dtype(type)));
}

}  // namespace

LoadReport LoadWeights(Model& model, const ModelFactory& factory, const std::string& path) {
  auto opened = weights::SafetensorsFile::Open(path);
  if (!opened.ok()) throw std::invalid_argument(std::string(opened.status().message()));
  const weights::SafetensorsFile& file = **opened;

  std::map<std::string, const weights::TensorInfo*> by_name;  // full modern name -> tensor
  for (const weights::TensorInfo& info : file.tensors()) {
    const std::string name = ModernName(info.name);
    by_name.emplace(absl::StartsWith(name, factory.prefix) ? name : factory.prefix + name, &info);
  }

  at::NoGradGuard no_grad;
  LoadReport report;
  std::set<const weights::TensorInfo*> used;
  std::vector<std::string> missing;
  for (const Parameter& parameter : model.parameters()) {
    auto it = by_name.find(parameter.name);
    if (it == by_name.end()) {
      (absl::StartsWith(parameter.name, factory.prefix + "pooler.") ? report.newly_initialised : missing).push_back(parameter.name);
      continue;
    }
    CopyInto(parameter.tensor, file, *it->second, path);
    used.insert(it->second);
    report.loaded.push_back(parameter.name);
  }
  if (!missing.empty()) {
    const size_t shown = std::min<size_t>(missing.size(), 3);
    throw std::invalid_argument(absl::StrCat(path, ": ", missing.size(), " tensors that a ", factory.architecture, " needs are missing: ",
                                             absl::StrJoin(missing.begin(), missing.begin() + shown, ", "), missing.size() > shown ? ", ..." : "",
                                             "; export the whole model with save_pretrained"));
  }
  for (const weights::TensorInfo& info : file.tensors()) {
    if (used.find(&info) == used.end()) report.ignored.push_back(info.name);
  }
  return report;
}

}  // namespace attune::training
