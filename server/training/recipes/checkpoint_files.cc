#include "server/training/recipes/checkpoint_files.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/architectures/pooling.h"
#include "server/base/files.h"
#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

constexpr int kRecordVersion = 2;  // 1 had texts only

constexpr const char* kActivations[] = {"relu", "gelu", "tanh", "silu"};  // in the order of HeadActivation

// What transformers' save_pretrained writes for slow and fast tokenizers of every kind.
constexpr const char* kTokenizerFiles[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",    "vocab.txt",
                                           "vocab.json",     "merges.txt",            "spiece.model",            "sentencepiece.bpe.model"};

}  // namespace

std::string ExportedConfig(const nlohmann::json& base, const ExportedHead& head, const images::ViewSpec* view) {
  nlohmann::json config = base;
  config["problem_type"] = head.problem_type;
  config["id2label"] = nlohmann::json::object();
  config["label2id"] = nlohmann::json::object();
  const std::vector<std::string> labels = head.labels.empty() ? std::vector<std::string>{"LABEL_0"} : head.labels;
  for (size_t i = 0; i < labels.size(); ++i) {
    config["id2label"][absl::StrCat(i)] = labels[i];
    config["label2id"][labels[i]] = i;
  }
  // transformers loads weights in the type that config.json names, and the base model's may have been stored as fp16.
  config.erase("torch_dtype");
  config["dtype"] = "float32";
  if (head.architecture_class.empty()) {
    config["num_classes"] = labels.size();
    config["dropout"] = head.dropout;
    if (view != nullptr) {
      config.update({{"image_size", view->image_size},
                     {"resize_size", view->resize_size},
                     {"interpolation", view->bicubic ? "bicubic" : "bilinear"},
                     {"image_mean", view->mean},
                     {"image_std", view->standard_deviation}});
    }
    return config.dump(2) + "\n";
  }
  if (config.contains(architectures::kPoolingKey)) {
    config.erase("architectures");  // transformers has no class that pools like this
  } else {
    config["architectures"] = {head.architecture_class};
  }
  config.erase("num_labels");  // transformers derives it from id2label
  if (config.value("model_type", "") == "dinov2") config["use_mask_token"] = false;  // it serves pretraining, and the checkpoint has none
  if (view == nullptr) config["classifier_dropout"] = head.dropout;
  return config.dump(2) + "\n";
}

std::string ExportedPreprocessor(const images::ViewSpec& view) {
  constexpr int kBilinear = 2, kBicubic = 3;  // Pillow's numbers
  const nlohmann::ordered_json json = {{"image_processor_type", "BitImageProcessor"},
                                       {"do_convert_rgb", true},
                                       {"do_resize", true},
                                       {"size", {{"shortest_edge", view.resize_size}}},
                                       {"resample", view.bicubic ? kBicubic : kBilinear},
                                       {"do_center_crop", true},
                                       {"crop_size", {{"height", view.image_size}, {"width", view.image_size}}},
                                       {"do_rescale", true},
                                       {"rescale_factor", 1 / 255.0},
                                       {"do_normalize", true},
                                       {"image_mean", view.mean},
                                       {"image_std", view.standard_deviation}};
  return json.dump(2) + "\n";
}

std::string AttuneRecord::ToJson() const {
  const nlohmann::ordered_json json = {{"version", kRecordVersion},
                                       {"base_model", base_model},
                                       {"task", task},
                                       {"labels", labels},
                                       {"max_length", max_length},
                                       {"image_size", image_size},
                                       {"head_hidden_sizes", head_hidden_sizes},
                                       {"head_activation", kActivations[static_cast<int>(head_activation)]}};
  return json.dump(2) + "\n";
}

AttuneRecord AttuneRecord::FromJson(std::string_view text) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    const int version = json.at("version").get<int>();
    if (version < 1 || version > kRecordVersion) {
      throw TrainingError(FailureCategory::kData, absl::StrCat("attune.json has version ", version, "; this worker reads 1 to ", kRecordVersion));
    }
    AttuneRecord record;
    record.base_model = json.at("base_model").get<std::string>();
    record.task = json.at("task").get<std::string>();
    record.labels = json.at("labels").get<std::vector<std::string>>();
    record.max_length = json.at("max_length").get<int>();
    if (version == 1) return record;
    record.image_size = json.at("image_size").get<int>();
    record.head_hidden_sizes = json.at("head_hidden_sizes").get<std::vector<int>>();
    const auto activation = std::find(std::begin(kActivations), std::end(kActivations), json.at("head_activation").get<std::string>());
    if (activation == std::end(kActivations)) throw TrainingError(FailureCategory::kData, "attune.json: head_activation is not one that this worker knows");
    record.head_activation = static_cast<HeadActivation>(activation - std::begin(kActivations));
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
