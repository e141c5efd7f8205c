#include "server/catalogue/model_check.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "server/base/files.h"
#include "server/base/nearest.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/catalogue/model_files.h"
#include "server/catalogue/weights_check.h"
#include "server/tokenizers/tokenizer.h"
#include "server/weights/safetensors.h"

namespace attune::catalogue {
namespace {

using architectures::Architecture;
using architectures::ArchitectureRegistry;
using architectures::Modality;
using architectures::ModelLayout;

absl::StatusOr<const Architecture*> FindArchitecture(const nlohmann::json& config) {
  const ArchitectureRegistry& registry = ArchitectureRegistry::Get();
  const std::string supported = absl::StrJoin(registry.Names(), ", ");
  const auto type = config.find("model_type");
  if (type == config.end() || !type->is_string()) {
    return absl::InvalidArgumentError(StrCat(
        "config.json: model_type is missing; set it to the architecture's name, as transformers does (supported: ",
        supported, ")"));
  }
  const auto& name = type->get_ref<const std::string&>();
  if (const Architecture* found = registry.Find(name)) return found;
  const std::string shown = name.substr(0, 100);
  const std::string nearest = Nearest(shown, registry.Names());
  return absl::InvalidArgumentError(StrCat(
      "config.json: model_type \"", absl::CHexEscape(shown), "\" is not an architecture that this server knows; ",
      nearest.empty() ? "" : StrCat("did you mean \"", nearest, "\"? "), "supported: ", supported));
}

absl::Status CheckSizesAndJson(const std::string& directory) {
  for (const ModelFileRule& rule : ModelFileRules()) {
    const std::string path = StrCat(directory, "/", rule.name);
    if (!FileExists(path)) continue;
    ATTUNE_ASSIGN_OR_RETURN(const int64_t size, FileSize(path));
    ATTUNE_RETURN_IF_ERROR(CheckModelFileSize(rule, size));
    if (rule.is_json) ATTUNE_RETURN_IF_ERROR(ReadJsonObject(directory, rule.name, rule.max_bytes).status());
  }
  return absl::OkStatus();
}

// Ids and segments that the tokenizer can give must be rows that the embeddings have.
absl::Status CheckTokenizer(const std::string& directory, const ModelLayout& layout) {
  ATTUNE_ASSIGN_OR_RETURN(const auto tokenizer, tokenizers::LoadTokenizer(directory));
  if (tokenizer->vocabulary_size() > layout.vocabulary_size) {
    return absl::InvalidArgumentError(StrCat("tokenizer.json has token ids up to ", tokenizer->vocabulary_size() - 1,
                                             ", but config.json's vocab_size is ", layout.vocabulary_size,
                                             "; the two files do not belong together"));
  }
  ATTUNE_ASSIGN_OR_RETURN(const tokenizers::Encoding empty, tokenizer->Encode("", nullptr, 0));
  if (empty.ids.empty()) {
    return absl::InvalidArgumentError(
        "tokenizer.json has no post_processor that adds the special tokens; "
        "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR) writes one that has");
  }
  // With a word: the post-processor may give texts another segment than special tokens.
  ATTUNE_ASSIGN_OR_RETURN(const tokenizers::Encoding word, tokenizer->Encode("a", nullptr, 0));
  const int32_t largest_type = *std::max_element(word.type_ids.begin(), word.type_ids.end());
  if (largest_type >= layout.type_count) {
    return absl::InvalidArgumentError(StrCat("tokenizer.json gives segment ", largest_type,
                                             " to a single text, but config.json's type_vocab_size is ",
                                             layout.type_count, "; the two files do not belong together"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelDescription> Check(const std::string& directory) {
  ModelDescription description;
  ATTUNE_RETURN_IF_ERROR(CheckSizesAndJson(directory));
  ATTUNE_ASSIGN_OR_RETURN(description.config, ReadModelConfig(directory));
  const Architecture& architecture = *description.config.architecture;
  const ModelLayout& layout = description.config.layout;
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory));
  ATTUNE_RETURN_IF_ERROR(CheckModelFilesFit(architecture, names));
  ATTUNE_ASSIGN_OR_RETURN(const auto file, weights::SafetensorsFile::Open(StrCat(directory, "/", kWeightsFile)));
  ATTUNE_ASSIGN_OR_RETURN(description.ignored_tensors, CheckWeights(*file, architecture, layout));
  if (architecture.modality == Modality::kText) ATTUNE_RETURN_IF_ERROR(CheckTokenizer(directory, layout));
  ATTUNE_RETURN_IF_ERROR(file->CheckFinite());
  ATTUNE_RETURN_IF_ERROR(CheckVariances(*file, architecture, layout));
  return description;
}

}  // namespace

absl::StatusOr<ModelConfig> ReadModelConfig(const std::string& directory, architectures::Pooling pooling) {
  ATTUNE_ASSIGN_OR_RETURN(nlohmann::json json,
                          ReadJsonObject(directory, kConfigFile, FindModelFileRule(kConfigFile)->max_bytes));
  architectures::SetPooling(pooling, json);
  ModelConfig config;
  ATTUNE_ASSIGN_OR_RETURN(config.architecture, FindArchitecture(json));
  ATTUNE_ASSIGN_OR_RETURN(config.layout, config.architecture->describe(json));
  return config;
}

absl::StatusOr<ModelDescription> CheckModelDirectory(const std::string& directory) {
  absl::StatusOr<ModelDescription> description = Check(directory);
  if (description.ok()) return description;
  // The reader of weights names its file by path; where the server keeps it is nobody's business.
  const absl::Status& status = description.status();
  return absl::Status(status.code(), absl::StrReplaceAll(status.message(), {{StrCat(directory, "/"), ""}}));
}

}  // namespace attune::catalogue
