#include "client/cli/spec/spec_flags.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "client/cli/spec/spec_values.h"
#include "google/protobuf/util/json_util.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Where the field's name alone would not say what it is.
const std::map<std::string, std::string>& Renamed() {
  static const auto& names = *new std::map<std::string, std::string>{
      {"attune.v1.HeadSpec.dropout", "head-dropout"},
      {"attune.v1.HeadSpec.hidden_sizes", "head-hidden"},
      {"attune.v1.HeadSpec.pooling", "head-pooling"},
      {"attune.v1.AugmentationSpec.enabled", "augment"},
      {"attune.v1.AugmentationSpec.mixup_alpha", "mixup"},
      {"attune.v1.AugmentationSpec.cutmix_alpha", "cutmix"},
      {"attune.v1.RandAugment.operations", "rand-augment-operations"},
      {"attune.v1.RandAugment.magnitude", "rand-augment-magnitude"},
      {"attune.v1.EvaluationSpec.split", "evaluation-split"},
      {"attune.v1.LrRangeTestSpec.min_learning_rate", "lr-range-min"},
      {"attune.v1.LrRangeTestSpec.max_learning_rate", "lr-range-max"},
      {"attune.v1.LrRangeTestSpec.steps", "lr-range-steps"},
      {"attune.v1.ReplaySpec.dataset", "replay-dataset"},
      {"attune.v1.ReplaySpec.fraction", "replay-fraction"},
      {"attune.v1.LoraSpec.r", "lora-r"},
      {"attune.v1.LoraSpec.alpha", "lora-alpha"},
      {"attune.v1.LoraSpec.target_modules", "lora-targets"},
      {"attune.v1.RetryPolicy.backoff_seconds", "retry-backoff-seconds"},
      {"attune.v1.UnfreezeSpec.epochs_per_group", "unfreeze-epochs"},
      {"attune.v1.UnfreezeSpec.layer_decay", "unfreeze-layer-decay"},
      {"attune.v1.WarmStart.checkpoint", "warm-start"},
      {"attune.v1.WarmStart.part", "warm-start-part"},
  };
  return names;
}

const std::map<std::string, std::string>& Helps() {
  static const auto& helps = *new std::map<std::string, std::string>{
      {"base-model", "Model to start from: a name or models/NAME. Required here or in the file"},
      {"dataset", "Dataset to learn from: a name or datasets/NAME. Required here or in the file"},
      {"task", "What is learnt. Default: by the dataset's labels"},
      {"seed", "Seed of everything random. Default: 42"},
      {"precision", "Arithmetic. Default: fp32"},
      {"head-dropout", "Dropout before each layer of the head, 0 to below 1. Default: the model's own"},
      {"head-hidden", "Sizes of hidden layers of the head, from the features up, for example 256,128. Default: none"},
      {"activation", "After each hidden layer of the head. Default: relu"},
      {"head-pooling", "How the model's last outputs become what the head takes. Default: the model's own way"},
      {"n-epochs", "Passes over the training rows in the main phase, 1 to 1000. Default: 3, of images 5"},
      {"max-steps", "Optimizer steps at most in the whole job. Default: as many as the epochs have"},
      {"batch-size", "Rows in an optimizer step, 1 to 4096. Default: 32"},
      {"learning-rate",
       "Peak learning rate. Default: 5e-5, of images 1e-4, and 1e-3 for a phase that trains only the head"},
      {"learning-rate-multiplier", "Scales every learning rate. Default: 1"},
      {"weight-decay", "Weight decay, 0 to 1, not for biases and norms. Default: 0.01"},
      {"warmup-ratio", "Share of a phase's steps spent warming up, 0 to 1. Default: 0.06"},
      {"warmup-steps", "Steps spent warming up in each phase. Default: by --warmup-ratio"},
      {"lr-scheduler-type", "How the learning rate moves. Default: linear"},
      {"max-grad-norm", "Gradients are scaled down to this norm; 0: not clipped. Default: 1"},
      {"gradient-accumulation-steps", "Batches added up before each optimizer step, 1 to 1024. Default: 1"},
      {"label-smoothing", "Share of the target spread over all classes, 0 to below 1. Default: 0"},
      {"early-stopping-patience", "Evaluations without improvement after which a phase ends; 0: never. Default: 0"},
      {"optimizer", "Optimizer. Default: adamw"},
      {"adam-beta1", "AdamW's first decay. Default: 0.9"},
      {"adam-beta2", "AdamW's second decay. Default: 0.999"},
      {"adam-epsilon", "AdamW's epsilon. Default: 1e-8"},
      {"momentum", "SGD's momentum. Default: 0.9"},
      {"max-length", "Texts are cut to this many tokens. Default: the smaller of the model's limit and 512"},
      {"image-size", "Side in pixels of the square that images are brought to, at most 1024. Default: the model's own"},
      {"class-balance", "What is done about classes of unequal size. Default: none"},
      {"class-weights", "Weight of classes in the loss, for example spam=3,ham=0.5; others weigh 1. Default: none"},
      {"l2-sp", "L2-SP: how strongly layers are drawn to their pretrained weights, 0 to 10. Default: 0"},
      {"ema-decay", "Evaluate and keep a moving average of the weights with this decay, below 1. Default: 0, none"},
      {"unfreeze-epochs", "Gradual unfreezing in place of phases: epochs before the next group learns. Default: none"},
      {"unfreeze-layer-decay", "Gradual unfreezing: rate of each group is that of the group above times this. Default: 1"},
      {"augment", "Change training images at random (crops, flips, and what else is asked for), or not. Default: yes"},
      {"crop-scale-min", "Smallest share of the image that a random crop keeps, over 0; 1: no crops. Default: 0.4"},
      {"horizontal-flip", "Probability of a left-right flip, 0 to 1. Default: 0.5"},
      {"brightness", "Brightness changes by up to this share, 0 to 1. Default: 0"},
      {"contrast", "Contrast changes by up to this share, 0 to 1. Default: 0"},
      {"saturation", "Saturation changes by up to this share, 0 to 1. Default: 0"},
      {"hue", "Hue turns by up to this share of the colour circle, 0 to 0.5. Default: 0"},
      {"rand-augment-operations", "RandAugment: operations on each image, 1 to 8. Default: none; 2 with a magnitude"},
      {"rand-augment-magnitude", "RandAugment: strength, 1 to 30. Default: none; 9 with operations"},
      {"mixup", "Mixup: alpha of its Beta distribution, 0 to 10; 0: none. Default: 0"},
      {"cutmix", "CutMix: alpha of its Beta distribution, 0 to 10; 0: none. Default: 0"},
      {"cached-views", "Random views of each image where the lowest layers are frozen, 0 to 64; 0: new ones each epoch. Default: 0"},
      {"test-views", "Views of each image to average over in the final evaluation, up to 32. Default: 1"},
      {"lr-range-min", "Learning-rate range test: rate of the first step. Default: 1e-7"},
      {"lr-range-max", "Learning-rate range test: rate of the last step, at most 100. Default: 1"},
      {"lr-range-steps", "Learning-rate range test: steps, 10 to 10000. Default: 100"},
      {"replay-dataset", "Second dataset whose rows are mixed into the batches: a name or datasets/NAME. Default: none"},
      {"replay-fraction", "Share of each batch's rows from the second dataset, over 0 to 0.9"},
      {"lora-r", "Low-rank adapters learn in place of the base model's weights: their rank, 1 to 256. Default: none; 8 with another lora flag"},
      {"lora-alpha", "Scale of the adapters' update times the rank. Default: 16"},
      {"lora-targets", "Patterns of the weights with adapters. Default: query and value of attention, else 1x1 convolutions"},
      {"eval-steps", "Evaluate each this many steps. Default: at the end of every epoch"},
      {"metric-for-best-model", "accuracy, f1_macro, loss, mse or pearson. Default: by the task"},
      {"evaluation-split", "Rows to evaluate on. Default: validation"},
      {"eval-batch-size", "Rows in an evaluation batch. Default: twice the training batch"},
      {"save-steps", "Save a checkpoint each this many steps. Default: at the end of every epoch"},
      {"keep-last", "Checkpoints kept besides the best and the last, at least 1. Default: 2"},
      {"device", "auto, cpu, cuda or cuda:N. Default: auto"},
      {"threads", "CPU threads. Default: all that the server gives a worker"},
      {"memory-bytes", "Most memory of the device that the job takes, as `jobs plan` says it: what it may run beside. Default: measured where that matters"},
      {"priority", "Place among waiting jobs, -100 to 100; higher goes first, and takes the worker of a lower one. Default: 0"},
      {"project", "Project that the job belongs to: projects share the workers. Default: \"default\" where the token has it, else its only project"},
      {"max-run-seconds", "Seconds that the job may train; 0: no limit. Default: 0"},
      {"max-lost-attempts", "Attempts in a row that may be lost before a new checkpoint, 1 to 100. Default: the server's"},
      {"max-resource-retries", "Retries after failures of memory, disk or device, 0 to 100. Default: 3"},
      {"max-system-retries", "Retries after failures of server or worker, 0 to 100. Default: 3"},
      {"retry-backoff-seconds", "Seconds before the first retry, 0 to 3600; each further one waits twice as long. Default: 10"},
      {"warm-start", "Begin with this checkpoint's weights, head included: JOB/STEP, JOB/best or JOB/last. Default: the base model's"},
      {"warm-start-part", "What is taken over: its weights, or all of it, so that this job goes on where that one was. Default: weights"},
  };
  return helps;
}

std::string FlagName(const FieldDescriptor& field) {
  auto renamed = Renamed().find(field.full_name());
  if (renamed != Renamed().end()) return renamed->second;
  std::string name = field.name();
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string Title(const FieldDescriptor& field) {
  std::string title = field.name();
  title[0] = static_cast<char>(std::toupper(title[0]));
  return title;
}

void Collect(const Descriptor& type, const std::string& group, std::vector<const FieldDescriptor*>& path,
             std::vector<SpecFlag>& flags) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.is_repeated() && field.message_type() != nullptr && !field.is_map()) continue;  // phases: in a file
    path.push_back(&field);
    if (field.message_type() != nullptr && !field.is_map()) {
      // What is deeper is listed with what it is part of.
      Collect(*field.message_type(), path.size() > 1 ? group : Title(field), path, flags);
    } else {
      SpecFlag flag{.name = FlagName(field), .group = group, .path = path};
      auto help = Helps().find(flag.name);
      flag.help = help != Helps().end() ? help->second : StrCat("See ", field.full_name());
      if (field.enum_type() != nullptr) flag.choices = EnumChoices(*field.enum_type());
      flags.push_back(std::move(flag));
    }
    path.pop_back();
  }
}

// "256,128" as a JSON list.
absl::StatusOr<nlohmann::json> ParseList(const FieldDescriptor& field, const std::string& text) {
  nlohmann::json list = nlohmann::json::array();
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(text, ','))) {
    ATTUNE_ASSIGN_OR_RETURN(nlohmann::json value,
                            ParseScalar(field, std::string(absl::StripAsciiWhitespace(part))));
    list.push_back(std::move(value));
  }
  return list;
}

// "spam=3,ham=0.5" as a JSON object. A name may have "=" in it, but no comma: those are for files.
absl::StatusOr<nlohmann::json> ParseMap(const FieldDescriptor& field, const std::string& text) {
  nlohmann::json object = nlohmann::json::object();
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(text, ','))) {
    const size_t equals = part.rfind('=');
    const std::string name(absl::StripAsciiWhitespace(part.substr(0, equals)));
    if (equals == std::string::npos || name.empty())
      return absl::InvalidArgumentError(StrCat("expected NAME=VALUE, got '", part, "'"));
    if (object.contains(name)) return absl::InvalidArgumentError(StrCat("'", name, "' is given twice"));
    auto value = ParseScalar(*field.message_type()->map_value(),
                             std::string(absl::StripAsciiWhitespace(part.substr(equals + 1))));
    if (!value.ok()) return absl::InvalidArgumentError(StrCat("'", name, "': ", value.status().message()));
    object[name] = *std::move(value);
  }
  return object;
}

absl::StatusOr<nlohmann::json> ParseValue(const SpecFlag& flag, const std::string& text) {
  const FieldDescriptor& field = *flag.path.back();
  return flag.is_map() ? ParseMap(field, text) : flag.is_list() ? ParseList(field, text) : ParseScalar(field, text);
}

void ClearField(const SpecFlag& flag, google::protobuf::Message* message) {
  for (const FieldDescriptor* field : flag.path) {
    if (field == flag.path.back()) return message->GetReflection()->ClearField(message, field);
    message = message->GetReflection()->MutableMessage(message, field);
  }
}

}  // namespace

const std::vector<SpecFlag>& SpecFlags() {
  static const auto& flags = *[] {
    auto* all = new std::vector<SpecFlag>;
    std::vector<const FieldDescriptor*> path;
    Collect(*v1::FineTuningSpec::descriptor(), "Job", path, *all);
    return all;
  }();
  return flags;
}

absl::Status SetSpecFlag(const SpecFlag& flag, const std::string& value, v1::FineTuningSpec* spec) {
  const auto parsed = ParseValue(flag, value);
  if (!parsed.ok()) return absl::InvalidArgumentError(StrCat("--", flag.name, ": ", parsed.status().message()));
  if (flag.path.back()->is_repeated()) ClearField(flag, spec);  // merging would append
  nlohmann::json document = *parsed;
  for (auto field = flag.path.rbegin(); field != flag.path.rend(); ++field)
    document = nlohmann::json{{(*field)->name(), document}};
  v1::FineTuningSpec part;
  const auto status = google::protobuf::util::JsonStringToMessage(
      document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), &part);
  if (!status.ok()) return absl::InvalidArgumentError(StrCat("--", flag.name, ": ", std::string(status.message())));
  spec->MergeFrom(part);
  return absl::OkStatus();
}

}  // namespace attune::cli
