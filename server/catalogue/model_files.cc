#include "server/catalogue/model_files.h"

#include <algorithm>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "server/base/files.h"
#include "server/base/nearest.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/tokenizers/tokenizer.h"

namespace attune::catalogue {
namespace {

using architectures::Modality;

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int kMaxJsonDepth = 64;
constexpr size_t kMaxShown = 100;

constexpr char kSaveAgain[] =
    "convert the model with transformers (AutoModel.from_pretrained(DIR).save_pretrained(DIR), and for text models the "
    "same with AutoTokenizer) and import what that writes; of a torchvision model, "
    "safetensors.torch.save_file(model.state_dict(), \"model.safetensors\")";

std::vector<std::string> AllowedNames() {
  std::vector<std::string> names;
  for (const ModelFileRule& rule : ModelFileRules()) names.emplace_back(rule.name);
  return names;
}

std::string ListOfNames() {
  std::string list;
  for (const std::string& name : AllowedNames()) StrAppend(&list, list.empty() ? "" : ", ", name);
  return list;
}

bool EndsWithAny(std::string_view name, std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(),
                     [&](std::string_view end) { return absl::EndsWith(AbslView(name), AbslView(end)); });
}

// What to do about a name that is not allowed.
std::string Advice(const std::string& name) {
  if (name.find_first_of("/\\") != std::string::npos) return "names have no directory parts; give the last part only";
  if (EndsWithAny(name, {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})) {
    return StrCat("pickled weights are not read, because a pickle can run code: ", kSaveAgain);
  }
  if (EndsWithAny(name, {".h5", ".msgpack", ".onnx", ".gguf"}))
    return StrCat("only safetensors weights are read: ", kSaveAgain);
  if (EndsWithAny(name, {".safetensors", ".safetensors.index.json"})) {
    return "weights come in one file, model.safetensors: save with save_pretrained(DIR, max_shard_size=\"100GB\"), or "
           "rename the file";
  }
  const std::string nearest = Nearest(name.substr(0, kMaxShown), AllowedNames());
  if (!nearest.empty()) return StrCat("did you mean ", nearest, "?");
  return StrCat("leave it out; a model is made of ", ListOfNames());
}

std::string MissingAdvice(std::string_view name) {
  if (name == kConfigFile) {
    return "it is what save_pretrained of a transformers model writes; for a torchvision model, write "
           "{\"model_type\": \"resnet50\"} with the model's name";
  }
  if (name == kTokenizerFile) return "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) writes it";
  return "AutoModel.from_pretrained(DIR).save_pretrained(DIR) writes it, and of a torchvision model "
         "safetensors.torch.save_file(model.state_dict(), \"model.safetensors\")";
}

const char* Takes(Modality modality) { return modality == Modality::kText ? "text" : "images"; }

}  // namespace

const std::vector<ModelFileRule>& ModelFileRules() {
  static const auto& rules = *new std::vector<ModelFileRule>{
      {kConfigFile, std::nullopt, true, true, 4 * kMiB},
      {kWeightsFile, std::nullopt, true, false, 0},
      {kTokenizerFile, Modality::kText, true, false, tokenizers::kMaxTokenizerJsonBytes},
      {"tokenizer_config.json", Modality::kText, false, true, 16 * kMiB},
      {"special_tokens_map.json", Modality::kText, false, true, 4 * kMiB},
      {"vocab.txt", Modality::kText, false, false, 64 * kMiB},
      {"preprocessor_config.json", Modality::kImage, false, true, 4 * kMiB},
      {"README.md", std::nullopt, false, false, 16 * kMiB},
      {"LICENSE", std::nullopt, false, false, 4 * kMiB},
  };
  return rules;
}

const ModelFileRule* FindModelFileRule(std::string_view name) {
  for (const ModelFileRule& rule : ModelFileRules()) {
    if (name == rule.name) return &rule;
  }
  return nullptr;
}

absl::Status CheckModelFileNames(const std::vector<std::string>& names) {
  std::set<std::string> seen;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string field = StrCat("files[", i, "].path");
    if (names[i].empty())
      return absl::InvalidArgumentError(
          StrCat(field, " is empty; give the name that the file has in the model's directory"));
    const std::string shown = StrCat("\"", absl::CHexEscape(names[i].substr(0, kMaxShown)), "\"");
    if (FindModelFileRule(names[i]) == nullptr) {
      return absl::InvalidArgumentError(StrCat(field, ": ", shown, " is not a file of a model; ", Advice(names[i])));
    }
    if (!seen.insert(names[i]).second)
      return absl::InvalidArgumentError(StrCat(field, ": ", shown, " is there twice; give each file once"));
  }
  for (const ModelFileRule& rule : ModelFileRules()) {
    if (rule.required && !rule.only_of.has_value() && seen.count(rule.name) == 0) {
      return absl::InvalidArgumentError(StrCat("files: ", rule.name, " is missing; ", MissingAdvice(rule.name)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckModelFilesFit(const architectures::Architecture& architecture,
                                const std::vector<std::string>& names) {
  const std::string takes = StrCat(architecture.name, " of config.json takes ", Takes(architecture.modality));
  for (const ModelFileRule& rule : ModelFileRules()) {
    if (!rule.only_of.has_value()) continue;
    const bool there = std::find(names.begin(), names.end(), rule.name) != names.end();
    const bool fits = rule.only_of == architecture.modality;
    if (there && !fits) {
      return absl::InvalidArgumentError(StrCat("files: ", rule.name, " is for models that take ", Takes(*rule.only_of),
                                               ", but the ", takes,
                                               "; leave it out, or give the config.json that belongs to it"));
    }
    if (!there && fits && rule.required) {
      return absl::InvalidArgumentError(
          StrCat("files: ", rule.name, " is missing, and the ", takes, "; ", MissingAdvice(rule.name)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckModelFileSize(const ModelFileRule& rule, int64_t size_bytes) {
  if (rule.max_bytes == 0 || size_bytes <= rule.max_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(StrCat(rule.name, " has ", size_bytes, " bytes, more than the ", rule.max_bytes,
                                           " allowed; check that it is the right file"));
}

absl::StatusOr<nlohmann::json> ReadJsonObject(const std::string& directory, std::string_view name, int64_t max_bytes) {
  ATTUNE_ASSIGN_OR_RETURN(const std::string text, ReadFile(StrCat(directory, "/", name), max_bytes));
  bool deep = false;
  const auto keep_shallow = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    deep |= depth > kMaxJsonDepth;
    return depth <= kMaxJsonDepth;
  };
  nlohmann::json json = nlohmann::json::parse(text, keep_shallow, /*allow_exceptions=*/false);
  if (deep)
    return absl::InvalidArgumentError(
        StrCat(name, " is nested more than ", kMaxJsonDepth, " levels deep; no such file is needed"));
  if (json.is_discarded())
    return absl::InvalidArgumentError(StrCat(name, " is not JSON, or is cut off; export it again"));
  if (!json.is_object())
    return absl::InvalidArgumentError(StrCat(name, " must hold a JSON object; export it again with save_pretrained"));
  return json;
}

}  // namespace attune::catalogue
