#include "server/catalogue/weights_check.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "server/architectures/likeness.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/catalogue/model_files.h"

namespace attune::catalogue {
namespace {

using architectures::Architecture;
using architectures::BufferShape;
using architectures::ClosestArchitecture;
using architectures::IsOfHead;
using architectures::kAlike;
using architectures::Likeness;
using architectures::LikenessTo;
using architectures::Modality;
using architectures::ModelLayout;
using architectures::ParameterShape;

constexpr size_t kMaxListed = 10;            // names in one message
constexpr size_t kMaxIgnoredTensors = 1000;  // they travel in the Model message
constexpr size_t kMaxNameBytes = 512;
constexpr double kSurelyAlike = 0.9;  // from here on a file is another architecture's though this one finds all that it needs

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

// What the messages below speak of.
struct Subject {
  const weights::SafetensorsFile& file;
  const Architecture& architecture;
  const ModelLayout& layout;

  Likeness own() const { return LikenessTo(named_shapes(), architecture, layout); }
  Likeness closest() const { return ClosestArchitecture(named_shapes()); }
  std::vector<architectures::NamedShape> named_shapes() const {
    std::vector<architectures::NamedShape> tensors;
    for (const weights::TensorInfo& tensor : file.tensors()) tensors.push_back({tensor.name, tensor.shape});
    return tensors;
  }
};

// A tensor that the layout asks for.
struct WantedTensor {
  const std::string& name;
  const std::vector<int64_t>& shape;
  const std::string& group;
  bool is_parameter;
  bool is_counter;  // a whole number, and always optional
  bool optional;    // together with its group
};

std::vector<WantedTensor> WantedTensors(const ModelLayout& layout) {
  std::vector<WantedTensor> wanted;
  std::set<std::string> optional_groups;
  for (const ParameterShape& p : layout.parameters) {
    wanted.push_back({p.name, p.shape, p.group, true, false, p.optional});
    if (p.optional) optional_groups.insert(p.group);
  }
  for (const BufferShape& b : layout.buffers) {
    const bool is_counter = b.kind == BufferShape::Kind::kBatchesTracked;
    wanted.push_back({b.name, b.shape, b.group, false, is_counter, optional_groups.count(b.group) > 0});
  }
  return wanted;
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

// How to write such a model's file.
std::string SaveAdvice(const Architecture& architecture) {
  if (architecture.modality == Modality::kImage && architecture.prefix.empty()) {
    return "save the whole model of torchvision with safetensors.torch.save_file(model.state_dict(), "
           "\"model.safetensors\")";
  }
  return "export the whole model with save_pretrained";
}

// What the file probably is instead; empty when nothing registered is nearer to it than what config.json says.
std::string ProbablyInstead(const Subject& subject) {
  const Likeness own = subject.own(), closest = subject.closest();
  if (closest.architecture == nullptr) return "";
  const bool is_other = closest.architecture != &subject.architecture;
  const std::string& name = closest.architecture->name;
  if (closest.same >= kAlike && closest.same > own.same) {
    if (!is_other) return StrCat("the tensors look like those of a ", name, " of the default sizes");
    return StrCat("the tensors look like those of ", name, ": if they are, set config.json's model_type to \"", name,
                  "\"");
  }
  if (is_other && closest.named >= kAlike && closest.named > own.named) {
    return StrCat("the tensors have the names of a ", name, ": if they are one's, give its config.json");
  }
  return "";
}

absl::Status WrongShape(const weights::TensorInfo& tensor, const WantedTensor& wanted, const Subject& subject) {
  const std::string instead = ProbablyInstead(subject);
  return Fail(StrCat("tensor ", Quoted(tensor.name), " has shape ", Shape(tensor.shape), ", but config.json asks for ",
                     Shape(wanted.shape), "; the two files do not belong together", instead.empty() ? "" : "; ",
                     instead));
}

absl::Status CheckTensor(const weights::TensorInfo& tensor, const WantedTensor& wanted, const Subject& subject) {
  if (tensor.shape != wanted.shape) return WrongShape(tensor, wanted, subject);
  const weights::DType dtype = tensor.dtype;
  if (wanted.is_counter) {
    if (dtype == weights::DType::kI64 || dtype == weights::DType::kI32) return absl::OkStatus();
    return Fail(StrCat("tensor ", Quoted(tensor.name), " has type ", weights::DTypeName(dtype),
                       "; a count must be I64 or I32, or may be left out"));
  }
  if (dtype == weights::DType::kF32 || dtype == weights::DType::kF16 || dtype == weights::DType::kBF16)
    return absl::OkStatus();
  return Fail(StrCat("tensor ", Quoted(tensor.name), " has type ", weights::DTypeName(dtype),
                     "; weights must be F32, F16 or BF16 (quantised models cannot be fine-tuned)"));
}

// `all`: nothing that is needed is there.
absl::Status Missing(const std::vector<const WantedTensor*>& missing, const Subject& subject, bool all) {
  std::vector<std::string> names;
  bool are_buffers = true;
  for (const WantedTensor* wanted : missing) {
    names.push_back(wanted->name);
    are_buffers &= !wanted->is_parameter;
  }
  std::string what =
      StrCat(names.size(), names.size() == 1 ? " tensor that a " : " tensors that a ", subject.architecture.name,
             " of config.json's sizes needs ", names.size() == 1 ? "is" : "are", " missing: ", ListOf(names), "; ");
  if (const std::string instead = ProbablyInstead(subject); !instead.empty()) {
    StrAppend(&what, instead);
  } else if (all && !subject.file.tensors().empty()) {
    StrAppend(&what, "the file has other names, such as ", Quoted(subject.file.tensors().front().name),
              ": is it another architecture?");
  } else {
    StrAppend(&what, are_buffers ? "the statistics of BatchNorm belong to the model: " : "",
              SaveAdvice(subject.architecture));
  }
  return Fail(what);
}

// A group that may be missing must be missing whole: half of one is damage.
absl::Status CheckOptionalGroups(const std::vector<WantedTensor>& wanted, const TensorsByName& by_name,
                                 const Architecture& architecture) {
  std::map<std::string, std::pair<int, std::vector<std::string>>> groups;  // found, missing
  for (const WantedTensor& tensor : wanted) {
    if (!tensor.optional || tensor.is_counter) continue;
    auto& [found, missing] = groups[tensor.group];
    if (by_name.count(tensor.name) > 0) {
      ++found;
    } else {
      missing.push_back(tensor.name);
    }
  }
  for (const auto& [group, counts] : groups) {
    if (counts.first > 0 && !counts.second.empty()) {
      return Fail(StrCat("the ", group, " is not whole: ", ListOf(counts.second), " missing; ",
                         SaveAdvice(architecture), ", or leave the ", group, " out"));
    }
  }
  return absl::OkStatus();
}

// What nobody asked for. A smaller sibling's layout is often a part of a larger one's: what is left over then tells them apart.
absl::StatusOr<std::vector<std::string>> CheckUnused(const TensorsByName& unused, const Subject& subject) {
  const Architecture& architecture = subject.architecture;
  std::vector<std::string> ignored;
  const weights::TensorInfo* foreign = nullptr;  // and of no head
  for (const auto& [name, tensor] : unused) {
    if (architecture.is_buffer && architecture.is_buffer(name)) continue;
    ignored.push_back(tensor->name);
    if (foreign == nullptr && !IsOfHead(architecture, name)) foreign = tensor;
  }
  if (foreign == nullptr) return ignored;
  const Likeness closest = subject.closest();
  if (closest.same >= kSurelyAlike && closest.architecture != &architecture && closest.same > subject.own().same) {
    return Fail(StrCat("a ", architecture.name, " has no use for tensor ", Quoted(foreign->name), " and others; ",
                       ProbablyInstead(subject)));
  }
  if (ignored.size() > kMaxIgnoredTensors) {
    return Fail(StrCat("a ", architecture.name, " has no use for ", ignored.size(), " of the tensors, such as ",
                       Quoted(foreign->name), "; ",
                       architecture.prefix.empty()
                           ? SaveAdvice(architecture)
                           : "export the encoder alone with AutoModel.from_pretrained(DIR).save_pretrained(DIR)"));
  }
  return ignored;
}

// Whether a value of a floating type is below zero (-0 is not). The sign is the highest bit of the last byte.
bool HasNegative(std::string_view bytes, size_t value_bytes) {
  for (size_t i = 0; i + value_bytes <= bytes.size(); i += value_bytes) {
    const std::string_view value = bytes.substr(i, value_bytes);
    if ((value.back() & 0x80) == 0) continue;
    const bool is_zero = (value.back() & 0x7f) == 0 && value.substr(0, value_bytes - 1).find_first_not_of('\0') ==
                                                           std::string_view::npos;
    if (!is_zero) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CheckWeights(const weights::SafetensorsFile& file,
                                                      const Architecture& architecture, const ModelLayout& layout) {
  const Subject subject{file, architecture, layout};
  const std::vector<WantedTensor> wanted = WantedTensors(layout);
  ATTUNE_ASSIGN_OR_RETURN(TensorsByName unused, ByCanonicalName(file, architecture));
  ATTUNE_RETURN_IF_ERROR(CheckOptionalGroups(wanted, unused, architecture));
  std::vector<const WantedTensor*> missing;
  size_t required = 0;
  for (const WantedTensor& tensor : wanted) {
    const bool is_required = !tensor.optional && !tensor.is_counter;
    required += is_required ? 1 : 0;
    const auto found = unused.find(tensor.name);
    if (found == unused.end()) {
      if (is_required) missing.push_back(&tensor);
      continue;
    }
    ATTUNE_RETURN_IF_ERROR(CheckTensor(*found->second, tensor, subject));
    unused.erase(found);
  }
  if (!missing.empty()) return Missing(missing, subject, missing.size() == required);
  return CheckUnused(unused, subject);
}

absl::Status CheckVariances(const weights::SafetensorsFile& file, const Architecture& architecture,
                            const ModelLayout& layout) {
  std::set<std::string_view> variances;
  for (const BufferShape& buffer : layout.buffers) {
    if (buffer.kind == BufferShape::Kind::kRunningVariance) variances.insert(buffer.name);
  }
  for (const weights::TensorInfo& tensor : file.tensors()) {
    if (variances.count(CanonicalName(architecture, tensor.name)) == 0) continue;
    if (!HasNegative(file.data(tensor), static_cast<size_t>(weights::DTypeSize(tensor.dtype)))) continue;
    return Fail(StrCat("tensor ", Quoted(tensor.name),
                       " has a negative value, which no variance has; the file is damaged, or was converted wrongly"));
  }
  return absl::OkStatus();
}

}  // namespace attune::catalogue
