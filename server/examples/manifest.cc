// manifest.json, strictly read: whatever is missing or of another type is DATA_LOSS that names the key.
#include <algorithm>
#include <limits>
#include <optional>

#include "nlohmann/json.hpp"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/examples/example.h"

namespace attune::examples {
namespace {

constexpr int kTextOnlyVersion = 1;  // has no "modality"
constexpr int kVersion = 2;
constexpr LabelKind kLabelKinds[] = {LabelKind::kSingleLabel, LabelKind::kMultiLabel, LabelKind::kRegression};
constexpr Split kSplits[] = {Split::kTrain, Split::kValidation, Split::kTest};

const char* LabelKindName(LabelKind kind) {
  switch (kind) {
    case LabelKind::kSingleLabel:
      return "single_label";
    case LabelKind::kMultiLabel:
      return "multi_label";
    case LabelKind::kRegression:
      return "regression";
  }
  return "";
}

absl::Status Damaged(std::string_view key) {
  return absl::DataLossError(
      StrCat("manifest.json: \"", key, "\" is missing or not what it should be; import the dataset again"));
}

const nlohmann::json* Find(const nlohmann::json& object, const char* key) {
  auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::optional<int64_t> NonNegative(const nlohmann::json* value) {
  if (value == nullptr || !value->is_number_unsigned()) return std::nullopt;
  uint64_t number = value->get<uint64_t>();
  if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return static_cast<int64_t>(number);
}

std::optional<std::vector<std::string>> Strings(const nlohmann::json* value) {
  if (value == nullptr || !value->is_array()) return std::nullopt;
  std::vector<std::string> strings;
  for (const nlohmann::json& entry : *value) {
    if (!entry.is_string()) return std::nullopt;
    strings.push_back(entry.get<std::string>());
  }
  return strings;
}

absl::Status ReadModality(const nlohmann::json* value, DatasetManifest* manifest) {
  for (Modality modality : {Modality::kText, Modality::kImage}) {
    if (value == nullptr || *value != ModalityName(modality)) continue;
    manifest->modality = modality;
    return absl::OkStatus();
  }
  return Damaged("modality");
}

absl::Status ReadRows(const nlohmann::json* rows, DatasetManifest* manifest) {
  if (rows == nullptr || !rows->is_object()) return Damaged("rows");
  for (Split split : kSplits) {
    std::optional<int64_t> count = NonNegative(Find(*rows, SplitName(split)));
    if (!count.has_value()) return Damaged("rows");
    manifest->rows[static_cast<size_t>(split)] = *count;
  }
  return absl::OkStatus();
}

absl::Status ReadLabels(const nlohmann::json& json, DatasetManifest* manifest) {
  const nlohmann::json* kind = Find(json, "label_kind");
  if (kind == nullptr || !kind->is_string()) return Damaged("label_kind");
  auto known = std::find_if(std::begin(kLabelKinds), std::end(kLabelKinds),
                            [&](LabelKind k) { return kind->get_ref<const std::string&>() == LabelKindName(k); });
  if (known == std::end(kLabelKinds)) return Damaged("label_kind");
  manifest->label_kind = *known;
  std::optional<std::vector<std::string>> labels = Strings(Find(json, "labels"));
  if (!labels.has_value()) return Damaged("labels");
  manifest->labels = *std::move(labels);
  return absl::OkStatus();
}

}  // namespace

const char* SplitName(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kValidation:
      return "validation";
    case Split::kTest:
      return "test";
  }
  return "";
}

const char* ModalityName(Modality modality) { return modality == Modality::kImage ? "image" : "text"; }

std::string DatasetManifest::ToJson() const {
  nlohmann::ordered_json json;
  json["version"] = version;
  if (version != kTextOnlyVersion) json["modality"] = ModalityName(modality);
  json["label_kind"] = LabelKindName(label_kind);
  json["labels"] = labels;
  json["has_text_pair"] = has_text_pair;
  json["filenames"] = filenames;
  for (Split split : kSplits) json["rows"][SplitName(split)] = rows[static_cast<size_t>(split)];
  json["digest"] = digest;
  // The strict handler would throw on names that are not UTF-8.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

absl::StatusOr<DatasetManifest> DatasetManifest::FromJson(std::string_view text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError("manifest.json is not a JSON object; import the dataset again");
  DatasetManifest manifest;
  std::optional<int64_t> version = NonNegative(Find(json, "version"));
  if (!version.has_value()) return Damaged("version");
  if (*version != kVersion && *version != kTextOnlyVersion) {
    return absl::FailedPreconditionError(
        StrCat("manifest.json has version ", *version, " and this program reads versions ", kTextOnlyVersion, " and ",
               kVersion, "; use the program that made the dataset, or import it again"));
  }
  manifest.version = static_cast<int>(*version);
  if (*version != kTextOnlyVersion) ATTUNE_RETURN_IF_ERROR(ReadModality(Find(json, "modality"), &manifest));
  ATTUNE_RETURN_IF_ERROR(ReadLabels(json, &manifest));
  ATTUNE_RETURN_IF_ERROR(ReadRows(Find(json, "rows"), &manifest));
  const nlohmann::json* pair = Find(json, "has_text_pair");
  if (pair == nullptr || !pair->is_boolean()) return Damaged("has_text_pair");
  manifest.has_text_pair = pair->get<bool>();
  std::optional<std::vector<std::string>> filenames = Strings(Find(json, "filenames"));
  if (!filenames.has_value()) return Damaged("filenames");
  manifest.filenames = *std::move(filenames);
  const nlohmann::json* digest = Find(json, "digest");
  if (digest == nullptr || !digest->is_string()) return Damaged("digest");
  manifest.digest = digest->get<std::string>();
  return manifest;
}

}  // namespace attune::examples
