#include "server/training/recipes/job_setup.h"

#include <algorithm>
#include <future>
#include <optional>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/sha256.h"
#include "server/training/recipes/checkpoint_files.h"
#include "server/training/steps/plan/lora_set.h"
#include "server/training/steps/plan/trainable_set.h"
#include "server/training/steps/precision.h"
#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

examples::Split SplitOf(const std::string& name) {
  for (examples::Split split : {examples::Split::kTrain, examples::Split::kValidation, examples::Split::kTest}) {
    if (name == examples::SplitName(split)) return split;
  }
  throw std::invalid_argument(absl::StrCat("evaluation.split must be validation or test, not \"", name, "\""));
}

// The task must be one for the dataset's labels, and the model one for what the dataset holds.
void CheckFit(const FineTuneSpec& spec, const examples::DatasetManifest& manifest, const architectures::Architecture& architecture) {
  const std::map<examples::LabelKind, std::string> endings = {{examples::LabelKind::kSingleLabel, "-classification"},
                                                              {examples::LabelKind::kMultiLabel, "-multi-label"},
                                                              {examples::LabelKind::kRegression, "-regression"}};
  const bool image = manifest.modality == examples::Modality::kImage;
  const std::string fits = (image ? "image" : "text") + endings.at(manifest.label_kind);
  if (spec.task != fits) {
    throw std::invalid_argument(absl::StrCat("task \"", spec.task, "\" does not fit the dataset's labels, which are for ", fits,
                                             "; leave task out to go by the dataset"));
  }
  if (image != (architecture.modality == architectures::Modality::kImage)) {
    throw std::invalid_argument(absl::StrCat("the dataset holds ", image ? "images" : "texts", ", but ", architecture.name, " takes ",
                                             image ? "texts" : "images", "; choose a model or a dataset of the other kind"));
  }
}

void ReportLoad(const LoadReport& report, JobReporter& reporter) {
  if (!report.newly_initialised.empty()) {
    reporter.LogLine(absl::StrCat("the base model has no ", absl::StrJoin(report.newly_initialised, ", "), ": new, seeded random values are used"));
  }
  if (!report.ignored.empty()) {
    const size_t shown = std::min<size_t>(report.ignored.size(), 5);
    reporter.LogLine(absl::StrCat(report.ignored.size(), " tensors of the base model are not used: ",
                                  absl::StrJoin(report.ignored.begin(), report.ignored.begin() + shown, ", "), shown < report.ignored.size() ? ", ..." : ""));
  }
}

std::vector<NamedGroup> Names(const HeadedModel& headed) {
  std::vector<NamedGroup> names;
  for (const Parameter& parameter : headed.parameters()) names.push_back({parameter.name, parameter.group});
  return names;
}

// Adapters on weights that are still the base model's. Nothing else of it learns.
void AddLora(JobSetup& setup, const FineTuneSpec& spec, JobReporter& reporter) {
  if (spec.l2_sp > 0 || spec.ema_decay > 0) throw std::invalid_argument("lora cannot be used with l2_sp or ema_decay: weights do not learn themselves");
  const std::vector<Parameter>& base = setup.headed.model->parameters();
  std::vector<architectures::NamedShape> shapes;
  for (const Parameter& parameter : base) shapes.push_back({parameter.name, parameter.tensor.sizes().vec()});
  const std::vector<bool> targets = LoraSet(shapes, setup.headed.factory->description_of().prefix, spec.lora.target_modules);
  setup.lora = std::make_unique<Lora>(LoraOptions{.rank = spec.lora.rank, .alpha = spec.lora.alpha, .seed = spec.seed}, base, targets);
  for (std::vector<bool>& learns : setup.trainable) {
    for (size_t i = 0; i < base.size(); ++i) learns[i] = learns[i] && targets[i];
  }
  reporter.LogLine(absl::StrCat("adapters of rank ", spec.lora.rank, " beside ", setup.lora->weight_count(), " weights: ", setup.lora->value_count(), " values"));
}

// A checkpoint of another job on the same base model, with the same head.
LoadReport LoadWarmStart(JobSetup& setup, const std::string& directory) {
  LoadTensors(setup.headed.tensors(), directory + "/" + kModelFile);
  return {};
}

// Copies the weights that were just loaded to begin with, of what learns in any phase and L2-SP draws to them: as in its authors' code, neither biases nor norms.
void KeepAnchors(JobSetup& setup, const LoadReport& report) {
  const std::vector<Parameter>& parameters = setup.headed.model->parameters();
  const auto& fresh = report.newly_initialised;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const bool learns = std::any_of(setup.trainable.begin(), setup.trainable.end(), [i](const std::vector<bool>& phase) { return phase[i]; });
    if (!learns || !parameters[i].decay || std::find(fresh.begin(), fresh.end(), parameters[i].name) != fresh.end()) continue;
    setup.anchors[parameters[i].name] = parameters[i].tensor.detach().clone();
  }
}

void LoadModel(JobSetup& setup, const FineTuneSpec& spec, const JobPaths& paths, JobReporter& reporter) {
  const bool resumed = !paths.resume_dir.empty();
  if (!resumed || spec.l2_sp > 0 || spec.lora.enabled) {
    const bool warm = !paths.warm_start_dir.empty();
    const LoadReport report = warm ? LoadWarmStart(setup, paths.warm_start_dir)
                                   : LoadWeights(*setup.headed.model, *setup.headed.factory, paths.model_dir + "/" + kModelFile);
    if (!resumed) ReportLoad(report, reporter);
    if (!resumed && warm) reporter.LogLine("begins with the weights of another job's checkpoint, head included");
    if (spec.l2_sp > 0) KeepAnchors(setup, report);
    if (spec.lora.enabled) AddLora(setup, spec, reporter);
  }
  if (resumed) LoadTensors(setup.headed.tensors(), paths.resume_dir + "/" + kModelFile);
  if (resumed && setup.lora != nullptr) LoadTensors(setup.lora->State(), paths.resume_dir + "/" + kOptimizerFile);
  setup.headed.To(setup.device);
  if (setup.lora != nullptr) setup.lora->To(setup.device);
  for (auto& [name, anchor] : setup.anchors) anchor = anchor.to(setup.device);
}

std::vector<CheckpointFile> FixedFiles(const FineTuneSpec& spec, const nlohmann::json& config, const HeadedModel& headed,
                                       const examples::DatasetManifest& manifest, const images::ViewSpec* view, const std::string& model_dir) {
  std::vector<CheckpointFile> files = ReadTokenizerFiles(model_dir);
  const ExportedHead head = {headed.factory->exported_class(spec.task), headed.task->problem_type(), manifest.labels, headed.head_dropout};
  files.push_back({kConfigFile, std::make_shared<const std::string>(ExportedConfig(config, head, view)), false});
  if (view != nullptr && !head.architecture_class.empty()) files.push_back({kPreprocessorFile, std::make_shared<const std::string>(ExportedPreprocessor(*view)), false});
  AttuneRecord record;
  record.base_model = spec.base_model;
  record.task = spec.task;
  record.labels = manifest.labels;
  record.max_length = spec.max_length;
  record.image_size = view != nullptr ? view->image_size : 0;
  record.head_hidden_sizes = spec.head_hidden_sizes;
  record.head_activation = spec.head_activation;
  files.push_back({kAttuneFile, std::make_shared<const std::string>(record.ToJson()), false});
  return files;
}

using TokenizerOr = absl::StatusOr<std::shared_ptr<const tokenizers::Tokenizer>>;

// Where the job's rows come from; `view` is set for images.
std::unique_ptr<JobInput> MakeInput(const JobSetup& setup, const FineTuneSpec& spec, const JobPaths& paths, const nlohmann::json& config,
                                    std::future<TokenizerOr>& tokenizer_later, std::optional<images::ViewSpec>* view) {
  const architectures::Architecture& architecture = setup.headed.factory->description_of();
  if (architecture.modality == architectures::Modality::kImage) {
    const auto layout = architecture.describe(config);
    if (!layout.ok()) throw std::invalid_argument(std::string(layout.status().message()));
    *view = ViewOf(layout->image, spec.image_size);
    return MakeImageInput(setup.reader, **view, spec.augmentation);
  }
  auto tokenizer = tokenizer_later.get();
  ThrowIfError(tokenizer.status());
  const auto digest = Sha256OfFile(paths.model_dir + "/tokenizer.json");
  ThrowIfError(digest.status());
  return MakeTextInput(setup.reader, *tokenizer, *digest, spec.max_length);
}

}  // namespace

TargetFunction TargetsOf(const Task& task) {
  return [&task](const std::vector<const examples::Example*>& examples) { return task.Targets(examples); };
}

TargetFunction JobSetup::targets() const { return TargetsOf(*headed.task); }

int OwnBatchSize(const FineTuneSpec& spec) { return spec.batch_size - static_cast<int>(ReplayRows(spec.batch_size, spec.replay_fraction)); }

std::vector<NamedTensor> ResumeTensors(const JobSetup& setup, const Optimizer& optimizer) {
  std::vector<NamedTensor> tensors = optimizer.State();
  const auto add = [&](const std::vector<NamedTensor>& more) { tensors.insert(tensors.end(), more.begin(), more.end()); };
  if (setup.lora != nullptr) add(setup.lora->State());
  if (setup.replay != nullptr) add(setup.replay->State());
  return tensors;
}

JobSetup SetUp(const FineTuneSpec& spec, const JobPaths& paths, JobReporter& reporter) {
  auto reader = examples::ExampleReader::Open(paths.dataset_dir);
  ThrowIfError(reader.status());
  JobSetup setup;
  setup.reader = *reader;
  const examples::DatasetManifest& manifest = setup.reader->manifest();
  // Reading a tokenizer takes about as long as reading the weights: side by side.
  std::future<TokenizerOr> tokenizer_later;
  if (manifest.modality == examples::Modality::kText) {
    tokenizer_later = std::async(std::launch::async, [&] { return TokenizerOr(tokenizers::LoadTokenizer(paths.model_dir)); });
  }
  setup.device = c10::Device(spec.device);
  setup.threads = spec.threads;
  setup.precision = SupportedPrecision(setup.device, spec.precision);
  if (setup.precision != spec.precision) reporter.LogLine("this processor has no bf16 instructions, and without them bf16 is far slower: the job trains in fp32");
  setup.plan = std::make_unique<TrainingPlan>(spec.phases, PlanOptions{.rows = setup.rows(examples::Split::kTrain),
                                                                       .batch_size = OwnBatchSize(spec),
                                                                       .accumulation = spec.accumulation,
                                                                       .max_steps = spec.max_steps,
                                                                       .eval_steps = spec.eval_steps,
                                                                       .save_steps = spec.save_steps});
  nlohmann::json config = ReadConfig(paths.model_dir);
  architectures::SetPooling(spec.head_pooling, config);
  setup.config_digest = Sha256Hex(config.dump());
  CheckFit(spec, manifest, FactoryOf(config).description_of());
  setup.balancing = BalanceClasses(spec, *setup.reader, reporter);
  setup.headed = CreateHeadedModel(config, HeadOptionsOf(spec, manifest.labels, setup.balancing.weights));
  const ModelShape shape = {.prefix = setup.headed.factory->description_of().prefix, .groups = setup.headed.head_group()};
  // All phases at once: a pattern that matches nothing should not be found after hours.
  for (const PhaseSpec& phase : spec.phases) setup.trainable.push_back(TrainableSet(Names(setup.headed), shape, phase.trainable));
  setup.evaluation_split = SplitOf(spec.eval_split);
  LoadModel(setup, spec, paths, reporter);
  std::optional<images::ViewSpec> view;
  setup.input = MakeInput(setup, spec, paths, config, tokenizer_later, &view);
  if (spec.replay_fraction > 0) {
    if (!setup.balancing.weights.empty()) throw std::invalid_argument("replay cannot be used with class weights in the loss");
    setup.replay = OpenReplay(spec, paths.replay_dataset_dir, manifest, *setup.input, setup.headed, config);
    if (!paths.resume_dir.empty()) LoadTensors(setup.replay->State(), paths.resume_dir + "/" + kOptimizerFile);
    if (setup.replay->head != nullptr) setup.replay->head->To(setup.device);
  }
  setup.fixed_files = FixedFiles(spec, config, setup.headed, manifest, view.has_value() ? &*view : nullptr, paths.model_dir);
  return setup;
}

std::unique_ptr<Optimizer> SetUpPhase(const JobSetup& setup, const FineTuneSpec& spec, int phase_of_spec) {
  const std::vector<Parameter> parameters = setup.headed.parameters();
  const std::vector<bool>& learns = setup.trainable[phase_of_spec];
  std::vector<int> groups;
  for (size_t i = 0; i < parameters.size(); ++i) {
    parameters[i].tensor.requires_grad_(learns[i]);
    if (learns[i]) groups.push_back(parameters[i].group);
  }
  const PhaseSpec& phase = spec.phases[phase_of_spec];
  const std::vector<double> rates =
      phase.group_rates.empty() ? LayerRates(groups, phase.layer_decay) : GroupRates(groups, setup.headed.model->groups(), phase.group_rates);
  std::vector<OptimizedParameter> optimized;
  size_t next = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!learns[i]) continue;
    const double rate = rates[next++];
    if (setup.lora != nullptr && setup.lora->Has(parameters[i].name)) {
      for (const OptimizedParameter& factor : setup.lora->Learning({parameters[i].name, parameters[i].tensor, rate, parameters[i].decay})) optimized.push_back(factor);
      continue;
    }
    const auto anchor = setup.anchors.find(parameters[i].name);
    const bool anchored = anchor != setup.anchors.end();
    optimized.push_back({parameters[i].name, parameters[i].tensor, rate, parameters[i].decay && !anchored, anchored ? anchor->second : at::Tensor()});
  }
  if (setup.replay != nullptr) {
    for (const Parameter& parameter : setup.replay->parameters()) optimized.push_back({parameter.name, parameter.tensor.requires_grad_(), 1, parameter.decay});
  }
  const OptimizerSpec& from = spec.optimizer;
  OptimizerOptions options;
  options.adamw = from.kind == OptimizerKind::kAdamW;
  options.weight_decay = from.weight_decay;
  options.beta1 = from.beta1;
  options.beta2 = from.beta2;
  options.epsilon = from.epsilon;
  options.momentum = options.adamw ? 0 : from.momentum;
  options.anchor_strength = spec.l2_sp;
  return std::make_unique<Optimizer>(options, optimized);
}

LoopOptions LoopOptionsOf(const JobSetup& setup, const FineTuneSpec& spec) {
  return {.device = setup.device,
          .precision = setup.precision,
          .max_grad_norm = spec.optimizer.max_grad_norm,
          .seed = spec.seed,
          .loader_threads = setup.input->loader_threads(setup.threads),
          .replay_task = setup.replay != nullptr ? setup.replay->head.get() : nullptr};
}

void UseAdapters(const JobSetup& setup, LoopCallbacks& callbacks) {
  Lora* lora = setup.lora.get();
  if (lora == nullptr) return;
  callbacks.before_update = [lora] { lora->TakeGradients(); };
  callbacks.after_update = [lora] { lora->WriteWeights(); };
}

std::vector<NamedTensor> MovingTensors(const HeadedModel& headed) {
  std::vector<NamedTensor> moving;
  for (const Parameter& parameter : headed.parameters()) {
    if (parameter.tensor.requires_grad()) moving.push_back({parameter.name, parameter.tensor});
  }
  for (const Buffer& buffer : headed.model->buffers()) moving.push_back({buffer.name, buffer.tensor, /*moves_in_forward=*/true});
  return moving;
}

std::vector<double> StepCosts(const JobSetup& setup, const FineTuneSpec& spec, bool cached) {
  const std::vector<Parameter> parameters = setup.headed.parameters();
  const int head = setup.headed.head_group();
  std::vector<double> costs;
  for (const PlannedPhase& phase : setup.plan->phases()) {
    int lowest = head;
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (setup.trainable[phase.index][i]) lowest = std::min(lowest, parameters[i].group);
    }
    const double share = static_cast<double>(head + 1 - lowest) / (head + 1);
    const bool fixed = !setup.input->augments() || !spec.phases[phase.index].augment || setup.input->cached_views() > 0;
    costs.push_back((cached && fixed && setup.replay == nullptr ? share : 1.0) + 2.0 * share);
  }
  return costs;
}

}  // namespace attune::training
