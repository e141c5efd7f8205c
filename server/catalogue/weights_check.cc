#include "server/catalogue/weights_check.h"

#include <algorithm>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/catalogue/model_files.h"

namespace attune::catalogue {
namespace {

constexpr size_t kMaxListed = 10;            // names in one message
constexpr size_t kMaxIgnoredTensors = 1000;  // they travel in the Model message
constexpr size_t kMaxNameBytes = 512;

using TensorsByName = std::map<std::string, const weights::TensorInfo*>;

absl::Status Fail(const std::string& what) { return absl::InvalidArgumentError(StrCat(kWeightsFile, ": ", what)); }

std::string Quoted(std::string_view name) {
  return StrCat("\"", absl::CHexEscape(AbslView(name.substr(0, kMaxNameBytes))), "\"");
}

std::string Shape(const std::vector<int64_t>& shape) { return StrCat("[", absl::StrJoin(shape, ", "), "]"); }

std::string ListOf(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kMaxListed);
  std::string list = absl::StrJoin(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", ");
  if (shown < names.size()) StrAppend(&list, " and ", names.size() - shown, " more");
  return list;
}

absl::StatusOr<TensorsByName> ByCanonicalName(const weights::SafetensorsFile& file, const Architecture& architecture) {
  TensorsByName by_name;
  for (const weights::TensorInfo& tensor : file.tensors()) {
    if (tensor.name.size() > kMaxNameBytes)
      return Fail(StrCat("tensor ", Quoted(tensor.name), "... has too long a name"));
    const auto [found, inserted] = by_name.emplace(CanonicalName(architecture, tensor.name), &tensor);
    if (!inserted) {
      return Fail(StrCat("tensors ", Quoted(found->second->name), " and ", Quoted(tensor.name),
                         " are the same parameter; keep one of them"));
    }
  }
  return by_name;
}

absl::Status CheckTensor(const weights::TensorInfo& tensor, const ParameterShape& parameter) {
  if (tensor.shape != parameter.shape) {
    return Fail(StrCat("tensor ", Quoted(tensor.name), " has shape ", Shape(tensor.shape),
                       ", but config.json asks for ", Shape(parameter.shape),
                       "; the two files do not belong together"));
  }
  switch (tensor.dtype) {
    case weights::DType::kF32:
    case weights::DType::kF16:
    case weights::DType::kBF16:
      return absl::OkStatus();
    default:
      return Fail(StrCat("tensor ", Quoted(tensor.name), " has type ", weights::DTypeName(tensor.dtype),
                         "; weights must be F32, F16 or BF16 (quantised models cannot be fine-tuned)"));
  }
}

absl::Status Missing(const std::vector<std::string>& missing, const Architecture& architecture,
                     const weights::SafetensorsFile& file, bool all) {
  std::string what =
      StrCat(missing.size(), missing.size() == 1 ? " tensor that a " : " tensors that a ", architecture.name,
             " of config.json's sizes needs ", missing.size() == 1 ? "is" : "are", " missing: ", ListOf(missing));
  if (all && !file.tensors().empty()) {
    StrAppend(&what, "; the file has other names, such as ", Quoted(file.tensors().front().name),
              ": is it another architecture?");
  } else {
    StrAppend(&what, "; export the whole model with save_pretrained");
  }
  return Fail(what);
}

// A group that may be missing must be missing whole: half of one is damage.
absl::Status CheckOptionalGroups(const ModelLayout& layout, const TensorsByName& by_name) {
  std::map<std::string, std::pair<int, std::vector<std::string>>> groups;  // found, missing
  for (const ParameterShape& parameter : layout.parameters) {
    if (!parameter.optional) continue;
    auto& [found, missing] = groups[parameter.group];
    if (by_name.count(parameter.name) > 0) {
      ++found;
    } else {
      missing.push_back(parameter.name);
    }
  }
  for (const auto& [group, counts] : groups) {
    if (counts.first > 0 && !counts.second.empty()) {
      return Fail(StrCat("the ", group, " is not whole: ", ListOf(counts.second),
                         " missing; export the whole model with save_pretrained, or leave the ", group, " out"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CheckWeights(const weights::SafetensorsFile& file,
                                                      const Architecture& architecture, const ModelLayout& layout) {
  ATTUNE_ASSIGN_OR_RETURN(TensorsByName unused, ByCanonicalName(file, architecture));
  ATTUNE_RETURN_IF_ERROR(CheckOptionalGroups(layout, unused));
  std::vector<std::string> missing;
  size_t required = 0;
  for (const ParameterShape& parameter : layout.parameters) {
    required += parameter.optional ? 0 : 1;
    const auto found = unused.find(parameter.name);
    if (found == unused.end()) {
      if (!parameter.optional) missing.push_back(parameter.name);
      continue;
    }
    ATTUNE_RETURN_IF_ERROR(CheckTensor(*found->second, parameter));
    unused.erase(found);
  }
  if (!missing.empty()) return Missing(missing, architecture, file, missing.size() == required);
  std::vector<std::string> ignored;
  for (const auto& [name, tensor] : unused) {
    if (!architecture.is_buffer(name)) ignored.push_back(tensor->name);
  }
  if (ignored.size() > kMaxIgnoredTensors) {
    return Fail(StrCat("a ", architecture.name, " has no use for ", ignored.size(), " of the tensors, such as ",
                       Quoted(ignored.front()),
                       "; export the encoder alone with AutoModel.from_pretrained(DIR).save_pretrained(DIR)"));
  }
  return ignored;
}

}  // namespace attune::catalogue
