// A tiny BERT, a tiny dataset whose labels can be learnt, and a reporter that remembers: what tests of steps, recipes and worker train with. Header-only; a few
// milliseconds for everything.
//
//   TinyJob job;                                   // model and dataset in a temporary directory
//   FineTuneSpec spec = TinySpec();
//   RecordingReporter reporter;
//   FineTune(spec, job.paths(), reporter, Files::Posix());
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "server/base/files.h"
#include "server/examples/example.h"
#include "server/training/models/model.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/job_reporter.h"
#include "server/weights/safetensors.h"
#include "tests/fakes/tiny_tokenizer.h"

namespace attune::training {

inline nlohmann::json TinyConfig() {
  return {{"model_type", "bert"},           {"vocab_size", TinyVocabularySize()}, {"hidden_size", 16},    {"num_hidden_layers", 2},
          {"num_attention_heads", 2},       {"intermediate_size", 32},            {"max_position_embeddings", 64},
          {"type_vocab_size", 2},           {"hidden_act", "gelu"},               {"pad_token_id", 0},    {"initializer_range", 0.1},
          {"architectures", {"BertModel"}}, {"torch_dtype", "float16"}};
}

inline void WriteText(const std::string& path, const std::string& text) {
  const absl::Status status = WriteFileAtomically(Files::Posix(), path, text);
  ASSERT_TRUE(status.ok()) << status;
}

// config.json, model.safetensors (seeded random weights, as BertModel names them) and tokenizer.json.
inline void WriteTinyModel(const std::string& directory, const nlohmann::json& config = TinyConfig(), uint64_t seed = 7) {
  ASSERT_TRUE(Files::Posix().CreateDirectories(directory).ok());
  WriteText(directory + "/config.json", config.dump());
  WriteText(directory + "/tokenizer.json", TinyTokenizerJson());
  WriteText(directory + "/tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer", "model_max_length": 64})");
  const ModelFactory* factory = ModelRegistry::Get().Find("bert");
  ASSERT_NE(factory, nullptr);
  const std::unique_ptr<Model> model = factory->create(config, seed);
  std::vector<weights::TensorView> views;
  for (const Parameter& parameter : model->parameters()) {
    const at::Tensor& t = parameter.tensor;
    views.push_back({parameter.name.substr(factory->description_of().prefix.size()), weights::DType::kF32, t.sizes().vec(),
                     {static_cast<const char*>(t.const_data_ptr()), static_cast<size_t>(t.nbytes())}});
  }
  const absl::Status status = weights::WriteSafetensors(Files::Posix(), directory + "/model.safetensors", views, {{"format", "pt"}});
  ASSERT_TRUE(status.ok()) << status;
}

struct TinyRows {
  int64_t train = 43, validation = 20, test = 20;  // 43: the last batch is ragged
};

// Class 1 (value 1.5) has "good" in it, class 0 (-1.5) "bad"; multi-label adds the class "movie" to some.
inline examples::Example TinyExample(examples::LabelKind kind, int64_t i) {
  const bool good = (i * 7 + 3) % 5 % 2 == 0;
  examples::Example example;
  example.text = absl::StrCat("the ", i % 3 == 0 ? "movie " : "hello ", i % 4 == 0 ? "was very " : "is ", good ? "good" : "bad", " ", i, std::string(i % 6, '.'));
  example.line = i + 2;
  if (kind == examples::LabelKind::kRegression) {
    example.value = good ? 1.5 : -1.5;
  } else {
    example.labels.push_back(good ? 1 : 0);
    if (kind == examples::LabelKind::kMultiLabel && i % 3 == 0) example.labels.push_back(2);
  }
  return example;
}

inline void WriteTinyDataset(const std::string& directory, examples::LabelKind kind = examples::LabelKind::kSingleLabel, const TinyRows& rows = {}) {
  auto writer = examples::ExampleWriter::Create(Files::Posix(), directory);
  ASSERT_TRUE(writer.ok()) << writer.status();
  int64_t next = 0;
  for (auto [split, count] : {std::pair{examples::Split::kTrain, rows.train}, {examples::Split::kValidation, rows.validation}, {examples::Split::kTest, rows.test}}) {
    for (int64_t i = 0; i < count; ++i) ASSERT_TRUE((*writer)->Add(split, TinyExample(kind, next++)).ok());
  }
  examples::DatasetManifest manifest;
  manifest.label_kind = kind;
  manifest.filenames = {"tiny.csv"};
  if (kind != examples::LabelKind::kRegression) manifest.labels = {"bad", "good"};
  if (kind == examples::LabelKind::kMultiLabel) manifest.labels.emplace_back("movie");
  const absl::Status status = (*writer)->Finish(manifest);
  ASSERT_TRUE(status.ok()) << status;
}

// Name -> bytes of the tensors of a checkpoint's, a model's or an optimizer's file.
inline std::map<std::string, std::string> TensorsOf(const std::string& path) {
  auto file = weights::SafetensorsFile::Open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  std::map<std::string, std::string> tensors;
  for (const weights::TensorInfo& info : (*file)->tensors()) tensors[info.name] = std::string((*file)->data(info));
  return tensors;
}

class TinyJob {
 public:
  explicit TinyJob(examples::LabelKind kind = examples::LabelKind::kSingleLabel, const TinyRows& rows = {}) {
    WriteTinyModel(paths().model_dir);
    WriteTinyDataset(paths().dataset_dir, kind, rows);
  }
  // `output` keeps runs on the same model and dataset apart.
  JobPaths paths(const std::string& output = "out") const {
    return {.model_dir = root_.path() + "/model", .dataset_dir = root_.path() + "/dataset", .output_dir = root_.path() + "/" + output, .resume_dir = ""};
  }
  std::string checkpoint(int64_t step, const std::string& output = "out") const {
    return absl::StrCat(paths(output).output_dir, "/checkpoints/step-", step);
  }

 private:
  TemporaryDirectory root_;
};

// Two phases, as the textbook says: 6 steps of the head, 12 of everything.
inline FineTuneSpec TinySpec() {
  FineTuneSpec spec;
  spec.task = "text-classification";
  spec.base_model = "models/tiny";
  PhaseSpec head;
  head.name = "head";
  head.n_epochs = 1;
  head.trainable.base = TrainableSpec::Base::kHeadOnly;
  head.learning_rate = 1e-2;
  PhaseSpec all;
  all.name = "all";
  all.n_epochs = 2;
  all.learning_rate = 5e-3;
  all.layer_decay = 0.9;
  spec.phases = {head, all};
  spec.batch_size = 8;
  spec.eval_batch_size = 16;
  spec.max_length = 32;
  spec.best_metric = "accuracy";
  return spec;
}

// Everything that was reported, in order within its kind.
class RecordingReporter : public JobReporter {
 public:
  void Started(int64_t resumed_from_step, const std::string& device, int threads) override {
    resumed_from = resumed_from_step;
    started_device = device;
  }
  void Phase(const PhaseReport& report) override { phases.push_back(report); }
  void Step(int64_t step) override { last_step = step; }
  void Progress(const ProgressReport& report) override { progress.push_back(report); }
  void Metrics(const MetricReport& report) override { metrics.push_back(report); }
  void Evaluation(const EvaluationReport& report) override { evaluations.push_back(report); }
  void CheckpointWritten(const CheckpointReport& report) override {
    std::lock_guard lock(mutex_);
    checkpoints_.push_back(report);
  }
  void LogLine(const std::string& text) override {
    std::lock_guard lock(mutex_);
    log_.push_back(text);
  }
  void Adjusted(const Adjustment& adjustment) override { adjustments.push_back(adjustment); }
  std::optional<LiveSettings> NewSettings() override {
    const auto news = settings_after.find(last_step);
    return news == settings_after.end() ? std::nullopt : std::optional(settings_after.extract(news).mapped());
  }
  StopRequest Stop() override { return stop_after_questions >= 0 && questions++ >= stop_after_questions ? stop_request : StopRequest::kNone; }

  std::vector<CheckpointReport> checkpoints() const {
    std::lock_guard lock(mutex_);
    return checkpoints_;
  }
  std::vector<std::string> log() const {
    std::lock_guard lock(mutex_);
    return log_;
  }

  int64_t resumed_from = -1;
  std::string started_device;
  int64_t last_step = 0;
  std::vector<PhaseReport> phases;
  std::vector<ProgressReport> progress;
  std::vector<MetricReport> metrics;
  std::vector<EvaluationReport> evaluations;
  std::vector<Adjustment> adjustments;
  // What the owner has asked for once so many steps were reported: it takes effect after the next one, or at the start.
  std::map<int64_t, LiveSettings> settings_after;
  // Stops when asked for the nth time, counted from 0; never when negative.
  int64_t stop_after_questions = -1;
  StopRequest stop_request = StopRequest::kCancel;
  int64_t questions = 0;

 private:
  mutable std::mutex mutex_;
  std::vector<CheckpointReport> checkpoints_;
  std::vector<std::string> log_;
};

}  // namespace attune::training
