#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/architectures/likeness.h"
#include "server/training/models/model.h"
#include "server/weights/safetensors.h"

namespace attune::training {
namespace {

using architectures::Architecture;
using weights::SafetensorsFile;
using weights::TensorInfo;

constexpr int64_t kPieceValues = 4 << 20;

at::ScalarType TorchType(const TensorInfo& info, bool whole_numbers, const std::string& path) {
  switch (info.dtype) {
    case weights::DType::kF32:
      return at::kFloat;
    case weights::DType::kF16:
      return at::kHalf;
    case weights::DType::kBF16:
      return at::kBFloat16;
    case weights::DType::kF64:
      return at::kDouble;
    case weights::DType::kI64:
      if (whole_numbers) return at::kLong;
      break;
    case weights::DType::kI32:
      if (whole_numbers) return at::kInt;
      break;
    default:
      break;
  }
  throw std::invalid_argument(absl::StrCat(path, ": tensor ", info.name, " has type ", weights::DTypeName(info.dtype), "; weights must be F32, F16 or BF16"));
}

class Loader {
 public:
  Loader(const Architecture& architecture, const SafetensorsFile& file, const std::string& path) : architecture_(architecture), file_(file), path_(path) {
    for (const TensorInfo& info : file.tensors()) by_name_.emplace(architectures::CanonicalName(architecture, info.name), &info);
  }

  LoadReport Load(const Model& model);

 private:
  const TensorInfo* Find(const std::string& full_name) const;
  void Copy(at::Tensor into, const TensorInfo& info);
  void LoadBuffer(const Buffer& buffer, bool group_is_new);
  std::set<int> GroupsThatAreNew(const Model& model) const;
  [[noreturn]] void FailMissing() const;
  std::string ClosestOrElse(const std::string& otherwise) const;

  const Architecture& architecture_;
  const SafetensorsFile& file_;
  const std::string& path_;
  std::map<std::string, const TensorInfo*> by_name_;  // canonical name -> tensor
  std::set<const TensorInfo*> used_;
  std::vector<std::string> missing_;
  LoadReport report_;
};

const TensorInfo* Loader::Find(const std::string& full_name) const {
  const auto it = by_name_.find(full_name.substr(architecture_.prefix.size()));
  return it == by_name_.end() ? nullptr : it->second;
}

void Loader::Copy(at::Tensor into, const TensorInfo& info) {
  const std::vector<int64_t> expected = into.sizes().vec();
  // Some writers know no scalars.
  if (info.shape != expected && !(expected.empty() && info.shape == std::vector<int64_t>{1})) {
    throw std::invalid_argument(absl::StrCat(path_, ": tensor ", info.name, " has shape [", absl::StrJoin(info.shape, ", "), "], but config.json asks for [",
                                             absl::StrJoin(expected, ", "), "]; ", ClosestOrElse("the two files do not belong together")));
  }
  const at::ScalarType type = TorchType(info, /*whole_numbers=*/into.scalar_type() == at::kLong, path_);
  std::string_view bytes = file_.data(info);
  std::string aligned;  // ATen reads whole values, and the format promises no alignment
  if (reinterpret_cast<uintptr_t>(bytes.data()) % at::elementSize(type) != 0) {
    aligned.assign(bytes);
    bytes = aligned;
  }
  // Piece by piece, so that what is mapped stays small.
  const at::Tensor dense = into.is_contiguous() ? into : at::empty(expected, into.options().memory_format(at::MemoryFormat::Contiguous));
  const at::Tensor flat = dense.view({-1});
  for (int64_t begin = 0; begin < flat.numel(); begin += kPieceValues) {
    const int64_t count = std::min(kPieceValues, flat.numel() - begin);
    const std::string_view piece = bytes.substr(static_cast<size_t>(begin) * at::elementSize(type), static_cast<size_t>(count) * at::elementSize(type));
    flat.narrow(0, begin, count).copy_(at::from_blob(const_cast<char*>(piece.data()), {count}, at::TensorOptions().dtype(type)));
    if (aligned.empty()) SafetensorsFile::GiveBack(piece);
  }
  if (!into.is_contiguous()) into.copy_(dense);
  used_.insert(&info);
}

void Loader::LoadBuffer(const Buffer& buffer, bool group_is_new) {
  const bool counts_batches = buffer.tensor.scalar_type() == at::kLong;
  const TensorInfo* info = Find(buffer.name);
  if (info == nullptr) {
    if (!group_is_new && !counts_batches) missing_.push_back(buffer.name);
    return;
  }
  Copy(buffer.tensor, *info);
  if (buffer.name.ends_with(".running_var") && !(buffer.tensor.ge(0).all().item<bool>())) {
    throw std::invalid_argument(absl::StrCat(path_, ": tensor ", info->name, " holds a value that is negative or not a number; a variance cannot be"));
  }
  report_.loaded.push_back(buffer.name);
}

// Of an optional group that has something in the file, everything must be there.
std::set<int> Loader::GroupsThatAreNew(const Model& model) const {
  std::set<int> groups;
  for (const Parameter& parameter : model.parameters()) {
    if (parameter.optional) groups.insert(parameter.group);
  }
  for (const Parameter& parameter : model.parameters()) {
    if (!parameter.optional || Find(parameter.name) != nullptr) groups.erase(parameter.group);
  }
  return groups;
}

LoadReport Loader::Load(const Model& model) {
  const std::set<int> new_groups = GroupsThatAreNew(model);
  for (const Parameter& parameter : model.parameters()) {
    if (const TensorInfo* info = Find(parameter.name)) {
      Copy(parameter.tensor, *info);
      report_.loaded.push_back(parameter.name);
    } else {
      (new_groups.count(parameter.group) > 0 ? report_.newly_initialised : missing_).push_back(parameter.name);
    }
  }
  for (const Buffer& buffer : model.buffers()) LoadBuffer(buffer, new_groups.count(buffer.group) > 0);
  if (!missing_.empty()) FailMissing();
  for (const TensorInfo& info : file_.tensors()) {
    if (used_.count(&info) == 0) report_.ignored.push_back(info.name);
  }
  return std::move(report_);
}

void Loader::FailMissing() const {
  const size_t shown = std::min<size_t>(missing_.size(), 3);
  const bool text = architecture_.modality == architectures::Modality::kText;
  throw std::invalid_argument(absl::StrCat(path_, ": ", missing_.size(), " tensors that a ", architecture_.name, " needs are missing: ",
                                           absl::StrJoin(missing_.begin(), missing_.begin() + shown, ", "), missing_.size() > shown ? ", ..." : "", "; ",
                                           ClosestOrElse(text ? "export the whole model with save_pretrained" : "export the model's whole state_dict")));
}

std::string Loader::ClosestOrElse(const std::string& otherwise) const {
  std::vector<architectures::NamedShape> tensors;
  for (const TensorInfo& info : file_.tensors()) tensors.push_back({info.name, info.shape});
  const architectures::Likeness closest = architectures::ClosestArchitecture(tensors);
  if (closest.same < architectures::kAlike || closest.architecture == &architecture_) return otherwise;
  return absl::StrCat("the file looks like a ", closest.architecture->name, ": is model_type in config.json right?");
}

}  // namespace

LoadReport LoadWeights(Model& model, const ModelFactory& factory, const std::string& path) {
  auto opened = SafetensorsFile::Open(path);
  if (!opened.ok()) throw std::invalid_argument(std::string(opened.status().message()));
  at::NoGradGuard no_grad;
  return Loader(factory.description_of(), **opened, path).Load(model);
}

}  // namespace attune::training
