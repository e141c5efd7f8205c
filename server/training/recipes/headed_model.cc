#include "server/training/recipes/headed_model.h"

#include <stdexcept>
#include <utility>

#include "absl/strings/str_join.h"
#include "server/base/files.h"
#include "server/base/nearest.h"
#include "server/base/str_cat.h"
#include "server/training/input/epoch_order.h"
#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

constexpr int64_t kMaxConfigBytes = 16 << 20;
// Of a new head where config.json has no initializer_range: transformers' own for texts; for images that of torchvision's VGG and MobileNetV2. What torch.nn.Linear draws is
// wider, and a short job on few images pays for it (docs/benchmarks.md).
constexpr double kTextInitializerRange = 0.02, kImageInitializerRange = 0.01;

// Streams of the job's seed that no micro-step uses: those count from 0.
constexpr int64_t kModelStream = -1;
constexpr int64_t kHeadStream = -2;

const TaskFactory& FindTask(const std::string& name, const ModelFactory& model) {
  const TaskFactory* task = TaskRegistry::Get().Find(name);
  bool supported = false;
  for (const std::string& each : model.tasks) supported = supported || each == name;
  if (task == nullptr || !supported) {
    throw std::invalid_argument(
        StrCat("task \"", name, "\" is not one that ", model.architecture, " models can learn; they can learn ", absl::StrJoin(model.tasks, ", ")));
  }
  return *task;
}

}  // namespace

std::vector<Parameter> HeadedModel::parameters() const {
  std::vector<Parameter> all = model->parameters();
  all.insert(all.end(), task->head_parameters().begin(), task->head_parameters().end());
  return all;
}

int64_t HeadedModel::parameter_count() const {
  int64_t count = 0;
  for (const Parameter& parameter : parameters()) count += parameter.tensor.numel();
  return count;
}

std::vector<NamedTensor> HeadedModel::tensors() const {
  std::vector<NamedTensor> all;
  for (const Parameter& parameter : parameters()) all.push_back({parameter.name, parameter.tensor});
  for (const Buffer& buffer : model->buffers()) all.push_back({buffer.name, buffer.tensor, /*moves_in_forward=*/true});
  return all;
}

void HeadedModel::To(const at::Device& device) {
  model->To(device);
  task->To(device);
}

nlohmann::json ReadConfig(const std::string& directory) {
  const std::string path = directory + "/config.json";
  auto text = ReadFile(path, kMaxConfigBytes);
  ThrowIfError(text.status());
  nlohmann::json config = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) throw std::invalid_argument(path + " is not a JSON object; export the model with transformers' save_pretrained");
  return config;
}

const ModelFactory& FactoryOf(const nlohmann::json& config) {
  const auto type = config.find("model_type");
  if (type == config.end() || !type->is_string()) {
    throw std::invalid_argument("config.json has no model_type; export the model with transformers' save_pretrained, or torchvision's with tools/import_torchvision.py");
  }
  const std::string name = type->get<std::string>();
  if (const ModelFactory* factory = ModelRegistry::Get().Find(name); factory != nullptr) return *factory;
  std::vector<std::string> known;
  for (const ModelFactory* factory : ModelRegistry::Get().All()) known.push_back(factory->architecture);
  const std::string nearest = Nearest(name, known);
  throw std::invalid_argument(StrCat("config.json: model_type \"", name, "\" is not supported", nearest.empty() ? "" : StrCat("; did you mean \"", nearest, "\"?"),
                                     " This worker knows ", absl::StrJoin(known, ", ")));
}

HeadOptions HeadOptionsOf(const FineTuneSpec& spec, const std::vector<std::string>& labels, const std::vector<double>& class_weights) {
  HeadOptions options;
  options.task = spec.task;
  options.labels = labels;
  options.hidden_sizes = spec.head_hidden_sizes;
  options.activation = spec.head_activation;
  options.dropout = spec.head_dropout;
  options.label_smoothing = spec.label_smoothing;
  options.class_weights = class_weights;
  options.seed = spec.seed;
  return options;
}

std::unique_ptr<Task> CreateHead(const HeadedModel& headed, const nlohmann::json& config, const HeadOptions& options) {
  TaskOptions head;
  head.labels = options.labels;
  head.feature_size = headed.model->feature_size();
  head.hidden_sizes.assign(options.hidden_sizes.begin(), options.hidden_sizes.end());
  head.activation = options.activation;
  head.init = headed.factory->head_init;
  head.head_dropout = headed.head_dropout;
  head.label_smoothing = options.label_smoothing;
  head.class_weights = options.class_weights;
  const architectures::Architecture& architecture = headed.factory->description_of();
  const auto range = config.find("initializer_range");
  const double usual = architecture.modality == architectures::Modality::kImage ? kImageInitializerRange : kTextInitializerRange;
  head.initializer_range = range != config.end() && range->is_number() ? range->get<double>() : usual;
  head.head_name = architecture.head_name;
  head.auxiliary_head_name = architecture.auxiliary_head_name;
  head.auxiliary_size = headed.model->auxiliary_size();
  head.head_group = headed.head_group();
  head.seed = StepSeed(options.seed, kHeadStream);
  return FindTask(options.task, *headed.factory).create(head);
}

HeadedModel CreateHeadedModel(const nlohmann::json& config, const HeadOptions& options) {
  HeadedModel headed;
  headed.factory = &FactoryOf(config);
  FindTask(options.task, *headed.factory);  // before weights take their memory
  headed.model = headed.factory->create(config, StepSeed(options.seed, kModelStream));
  headed.head_dropout = options.dropout >= 0 ? options.dropout : headed.model->default_head_dropout();
  headed.task = CreateHead(headed, config, options);
  return headed;
}

}  // namespace attune::training
