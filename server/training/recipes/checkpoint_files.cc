#include "server/training/recipes/checkpoint_files.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/files.h"
#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

constexpr int kRecordVersion = 1;

// What transformers' save_pretrained writes for slow and fast tokenizers of every kind.
constexpr const char* kTokenizerFiles[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",    "vocab.txt",
                                           "vocab.json",     "merges.txt",            "spiece.model",            "sentencepiece.bpe.model"};

}  // namespace

std::string ExportedConfig(const nlohmann::json& base, const ExportedHead& head) {
  nlohmann::json config = base;
  config["architectures"] = {head.architecture_class};
  config["problem_type"] = head.problem_type;
  config["id2label"] = nlohmann::json::object();
  config["label2id"] = nlohmann::json::object();
  const std::vector<std::string> labels = head.labels.empty() ? std::vector<std::string>{"LABEL_0"} : head.labels;
  for (size_t i = 0; i < labels.size(); ++i) {
    config["id2label"][absl::StrCat(i)] = labels[i];
    config["label2id"][labels[i]] = i;
  }
  config.erase("num_labels");  // transformers derives it from id2label
  config["classifier_dropout"] = head.dropout;
  // transformers loads weights in the type that config.json names, and the base model's may have been stored as fp16.
  config.erase("torch_dtype");
  config["dtype"] = "float32";
  return config.dump(2) + "\n";
}

std::string AttuneRecord::ToJson() const {
  const nlohmann::ordered_json json = {
      {"version", kRecordVersion}, {"base_model", base_model}, {"task", task}, {"labels", labels}, {"max_length", max_length}};
  return json.dump(2) + "\n";
}

AttuneRecord AttuneRecord::FromJson(std::string_view text) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    if (json.at("version").get<int>() != kRecordVersion) {
      throw TrainingError(FailureCategory::kData, absl::StrCat("attune.json has version ", json.at("version").dump(), "; this worker reads ", kRecordVersion));
    }
    AttuneRecord record;
    record.base_model = json.at("base_model").get<std::string>();
    record.task = json.at("task").get<std::string>();
    record.labels = json.at("labels").get<std::vector<std::string>>();
    record.max_length = json.at("max_length").get<int>();
    return record;
  } catch (const nlohmann::json::exception& error) {
    throw TrainingError(FailureCategory::kData, absl::StrCat("attune.json: ", error.what()));
  }
}

std::vector<CheckpointFile> ReadTokenizerFiles(const std::string& model_dir) {
  std::vector<CheckpointFile> files;
  for (const char* name : kTokenizerFiles) {
    const std::string path = absl::StrCat(model_dir, "/", name);
    if (!FileExists(path)) continue;
    auto content = ReadFile(path);
    ThrowIfError(content.status());
    files.push_back({name, std::make_shared<const std::string>(*std::move(content)), false});
  }
  return files;
}

}  // namespace attune::training
