#include "server/training/recipes/job_setup.h"

#include <algorithm>
#include <future>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/training/recipes/checkpoint_files.h"
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

void CheckLabelKind(const std::string& task, const examples::DatasetManifest& manifest) {
  const std::map<std::string, examples::LabelKind> kinds = {{"text-classification", examples::LabelKind::kSingleLabel},
                                                            {"text-multi-label", examples::LabelKind::kMultiLabel},
                                                            {"text-regression", examples::LabelKind::kRegression}};
  const auto kind = kinds.find(task);
  if (kind != kinds.end() && kind->second != manifest.label_kind) {
    throw std::invalid_argument(absl::StrCat("task \"", task, "\" does not fit the dataset's labels; leave task out to go by the dataset"));
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

std::unique_ptr<TextBatches> MakeBatches(const std::shared_ptr<const examples::ExampleReader>& reader,
                                         const std::shared_ptr<const tokenizers::Tokenizer>& tokenizer, examples::Split split, const TextDatasetOptions& dataset,
                                         const TextBatchesOptions& options, const Task* task) {
  return std::make_unique<TextBatches>(std::make_shared<TextDataset>(reader, tokenizer, split, dataset), options,
                                       [task](const std::vector<const examples::Example*>& examples) { return task->Targets(examples); });
}

std::vector<NamedGroup> Names(const HeadedModel& headed) {
  std::vector<NamedGroup> names;
  for (const Parameter& parameter : headed.parameters()) names.push_back({parameter.name, parameter.group});
  return names;
}

void LoadModel(JobSetup& setup, const JobPaths& paths, JobReporter& reporter) {
  if (paths.resume_dir.empty()) {
    ReportLoad(LoadWeights(*setup.headed.model, *setup.headed.factory, paths.model_dir + "/" + kModelFile), reporter);
  } else {
    LoadTensors(setup.headed.tensors(), paths.resume_dir + "/" + kModelFile);
  }
  setup.headed.To(setup.device);
}

std::vector<CheckpointFile> FixedFiles(const FineTuneSpec& spec, const nlohmann::json& config, const HeadedModel& headed,
                                       const std::vector<std::string>& labels, const std::string& model_dir) {
  std::vector<CheckpointFile> files = ReadTokenizerFiles(model_dir);
  const ExportedHead head = {headed.factory->exported_class(spec.task), headed.task->problem_type(), labels, headed.head_dropout};
  files.push_back({kConfigFile, std::make_shared<const std::string>(ExportedConfig(config, head)), false});
  const AttuneRecord record = {spec.base_model, spec.task, labels, spec.max_length};
  files.push_back({kAttuneFile, std::make_shared<const std::string>(record.ToJson()), false});
  return files;
}

}  // namespace

JobSetup SetUp(const FineTuneSpec& spec, const JobPaths& paths, JobReporter& reporter) {
  // Reading a tokenizer takes about as long as reading the weights: side by side.
  auto tokenizer_later = std::async(std::launch::async, [&] { return tokenizers::LoadTokenizer(paths.model_dir); });
  auto reader = examples::ExampleReader::Open(paths.dataset_dir);
  ThrowIfError(reader.status());
  const examples::DatasetManifest& manifest = (*reader)->manifest();
  CheckLabelKind(spec.task, manifest);

  JobSetup setup;
  setup.device = c10::Device(spec.device);
  setup.precision = SupportedPrecision(setup.device, spec.precision);
  if (setup.precision != spec.precision) reporter.LogLine("this processor has no bf16 instructions, and without them bf16 is far slower: the job trains in fp32");
  setup.plan = std::make_unique<TrainingPlan>(spec.phases, PlanOptions{.rows = (*reader)->size(examples::Split::kTrain),
                                                                       .batch_size = spec.batch_size,
                                                                       .accumulation = spec.accumulation,
                                                                       .max_steps = spec.max_steps,
                                                                       .eval_steps = spec.eval_steps,
                                                                       .save_steps = spec.save_steps});
  const nlohmann::json config = ReadConfig(paths.model_dir);
  setup.headed = CreateHeadedModel(config, {.task = spec.task,
                                            .labels = manifest.labels,
                                            .dropout = spec.head_dropout,
                                            .label_smoothing = spec.label_smoothing,
                                            .seed = spec.seed});
  // All phases at once: a pattern that matches nothing should not be found after hours.
  for (const PhaseSpec& phase : spec.phases) {
    setup.trainable.push_back(TrainableSet(
        Names(setup.headed), {.prefix = setup.headed.factory->prefix, .groups = static_cast<int>(setup.headed.model->groups().size())}, phase.trainable));
  }
  LoadModel(setup, paths, reporter);
  setup.fixed_files = FixedFiles(spec, config, setup.headed, manifest.labels, paths.model_dir);

  auto tokenizer = tokenizer_later.get();
  ThrowIfError(tokenizer.status());
  const TextDatasetOptions dataset = {.max_length = spec.max_length};
  const auto batches = [&](examples::Split split, const TextBatchesOptions& options) {
    return MakeBatches(*reader, *tokenizer, split, dataset, options, setup.headed.task.get());
  };
  const auto evaluated = [&](examples::Split split) {
    EvaluationData data;
    data.rows = (*reader)->size(split);
    if (data.rows > 0) data.batches = batches(split, {.batch_size = spec.eval_batch_size, .seed = spec.seed, .shuffle = false});
    return data;
  };
  setup.train = batches(examples::Split::kTrain, {.batch_size = spec.batch_size, .seed = spec.seed, .shuffle = true});
  setup.evaluation = evaluated(SplitOf(spec.eval_split));
  setup.test = evaluated(examples::Split::kTest);
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
  const std::vector<double> rates = LayerRates(groups, spec.phases[phase_of_spec].layer_decay);
  std::vector<OptimizedParameter> optimized;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (learns[i]) optimized.push_back({parameters[i].name, parameters[i].tensor, rates[optimized.size()], parameters[i].decay});
  }
  const OptimizerSpec& from = spec.optimizer;
  OptimizerOptions options;
  options.adamw = from.kind == OptimizerKind::kAdamW;
  options.weight_decay = from.weight_decay;
  options.beta1 = from.beta1;
  options.beta2 = from.beta2;
  options.epsilon = from.epsilon;
  options.momentum = options.adamw ? 0 : from.momentum;
  return std::make_unique<Optimizer>(options, optimized);
}

std::vector<double> StepCosts(const JobSetup& setup) {
  const std::vector<Parameter> parameters = setup.headed.parameters();
  const int head = setup.headed.head_group();
  std::vector<double> costs;
  for (const PlannedPhase& phase : setup.plan->phases()) {
    int lowest = head;
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (setup.trainable[phase.index][i]) lowest = std::min(lowest, parameters[i].group);
    }
    costs.push_back(1.0 + 2.0 * (head + 1 - lowest) / (head + 1));
  }
  return costs;
}

}  // namespace attune::training
