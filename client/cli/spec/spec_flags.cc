#include "client/cli/spec/spec_flags.h"

#include <algorithm>
#include <map>

#include "client/cli/spec/spec_values.h"
#include "google/protobuf/util/json_util.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Where the field's name alone would not say what it is.
const std::map<std::string, std::string>& Renamed() {
  static const auto& names = *new std::map<std::string, std::string>{
      {"attune.v1.HeadSpec.dropout", "head-dropout"},
      {"attune.v1.EvaluationSpec.split", "evaluation-split"},
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
      {"head-dropout", "Dropout before the last layer, 0 to below 1. Default: the model's own"},
      {"n-epochs", "Passes over the training rows in the main phase, 1 to 1000. Default: 3"},
      {"max-steps", "Optimizer steps at most in the whole job. Default: as many as the epochs have"},
      {"batch-size", "Rows in an optimizer step, 1 to 4096. Default: 32"},
      {"learning-rate", "Peak learning rate. Default: 5e-5, and 1e-3 for a phase that trains only the head"},
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
      {"eval-steps", "Evaluate each this many steps. Default: at the end of every epoch"},
      {"metric-for-best-model", "accuracy, f1_macro, loss, mse or pearson. Default: by the task"},
      {"evaluation-split", "Rows to evaluate on. Default: validation"},
      {"eval-batch-size", "Rows in an evaluation batch. Default: twice the training batch"},
      {"save-steps", "Save a checkpoint each this many steps. Default: at the end of every epoch"},
      {"keep-last", "Checkpoints kept besides the best and the last, at least 1. Default: 2"},
      {"device", "auto, cpu, cuda or cuda:N. Default: auto"},
      {"threads", "CPU threads. Default: all that the server gives a worker"},
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
    if (field.is_repeated()) continue;  // phases: in a file
    path.push_back(&field);
    if (field.message_type() != nullptr) {
      Collect(*field.message_type(), Title(field), path, flags);
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
  auto parsed = ParseScalar(*flag.path.back(), value);
  if (!parsed.ok()) return absl::InvalidArgumentError(StrCat("--", flag.name, ": ", parsed.status().message()));
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
