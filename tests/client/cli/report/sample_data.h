// Jobs as the server describes them, for tests of the report: a finished one on images with everything, and smaller
// ones. Header-only.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "client/cli/report/report_data.h"
#include "google/protobuf/text_format.h"

namespace attune::cli {

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

inline v1::MetricPoint Point(int64_t step, const std::string& phase,
                             std::initializer_list<std::pair<const char*, double>> values) {
  v1::MetricPoint point;
  point.set_step(step);
  point.set_phase(phase);
  for (const auto& [name, value] : values) (*point.mutable_values())[name] = value;
  return point;
}

// Two groups of two parameters each below the head.
inline v1::DescribeLayersResponse SampleLayers() {
  return Parse<v1::DescribeLayersResponse>(R"(
    layers { name: "embeddings.word" group: "embeddings" parameter_count: 100 }
    layers { name: "embeddings.position" group: "embeddings" parameter_count: 20 }
    layers { name: "layer.0.weight" group: "layer.0" parameter_count: 40 }
    layers { name: "layer.0.bias" group: "layer.0" parameter_count: 4 }
    layers { name: "layer.1.weight" group: "layer.1" parameter_count: 40 }
    layers { name: "layer.1.bias" group: "layer.1" parameter_count: 4 })");
}

inline v1::Model SampleModel() {
  return Parse<v1::Model>(R"(
    name: "models/m" architecture: "bert" parameter_count: 208 digest: "model-digest" head_name: "classifier" modality: "image"
    layer_groups: "embeddings" layer_groups: "layer.0" layer_groups: "layer.1")");
}

inline v1::FineTuningJob SampleJob() {
  return Parse<v1::FineTuningJob>(R"(
    name: "fineTuningJobs/j1" display_name: "pets" state: STATE_SUCCEEDED attempt: 1 class_labels: "cat" class_labels: "dog"
    create_time { seconds: 1799999000 } start_time { seconds: 1799999100 } end_time { seconds: 1799999212 }
    spec { base_model: "models/m" dataset: "datasets/d" hyperparameters { batch_size: 16 } phases { name: "head" trainable { head_only: true } } phases { name: "top" trainable { last_n_groups: 1 } } }
    effective_spec {
      base_model: "models/m" dataset: "datasets/d" task: TASK_IMAGE_CLASSIFICATION seed: 42 precision: PRECISION_FP32
      hyperparameters { batch_size: 16 learning_rate: 1e-4 learning_rate_multiplier: 1 }
      phases { name: "head" n_epochs: 3 trainable { head_only: true } learning_rate: 1e-3 layer_decay: 1 }
      phases { name: "top" n_epochs: 1 trainable { last_n_groups: 1 } learning_rate: 1e-4 layer_decay: 0.5 }
      evaluation { metric_for_best_model: "accuracy" split: SPLIT_VALIDATION }
      resources { device: "cuda:0" threads: 2 }
    }
    progress { step: 120 total_steps: 120 loss: 0.3 }
    best_checkpoint: "fineTuningJobs/j1/checkpoints/120"
    test_evaluation {
      step: 120 split: "test" rows: 372 values { key: "accuracy" value: 0.846 } values { key: "loss" value: 0.41 }
      classes { label: "cat" precision: 0.8 recall: 0.9 f1: 0.847 support: 200 } classes { label: "dog" precision: 0.87 recall: 0.78 f1: 0.82 support: 172 }
      confusion_matrix: 180 confusion_matrix: 20 confusion_matrix: 38 confusion_matrix: 134
    })");
}

inline v1::CheckpointEvaluation SampleEvaluation() {
  return Parse<v1::CheckpointEvaluation>(R"(
    checkpoint: "fineTuningJobs/j1/checkpoints/120" dataset: "datasets/d" training_rows: 900 contradicted_rows: 31
    evaluation { step: 120 split: "test" rows: 372 values { key: "accuracy" value: 0.846 } values { key: "ece" value: 0.035 } }
    calibration { lower: 0 upper: 0.5 } calibration { lower: 0.5 upper: 1 rows: 372 confidence: 0.9 accuracy: 0.846 }
    mistakes { row: 7 filename: "pets.tar" entry: "test/cat/7.jpg" labels: "cat" predicted_labels: "dog" label_probability: 0.01 predicted_probability: 0.99 }
    suspects { row: 3 filename: "pets.tar" entry: "train/dog/3.jpg" labels: "dog" predicted_labels: "cat" label_probability: 0.02 predicted_probability: 0.98 })");
}

inline v1::Dataset SampleDataset() {
  return Parse<v1::Dataset>(R"(
    name: "datasets/d" display_name: "pets.tar" state: STATE_READY label_kind: LABEL_KIND_SINGLE_LABEL labels: "cat" labels: "dog" digest: "dataset-digest" modality: "image"
    report {
      rows_read: 1372 rows_used: 1371 issue_counts { key: "unreadable_image" value: 1 }
      issues { kind: KIND_UNREADABLE_IMAGE filename: "pets.tar" entry: "train/cat/x.jpg" message: "is cut short" }
      splits { split: SPLIT_TRAIN rows: 900 label_counts { key: "cat" value: 500 } label_counts { key: "dog" value: 400 } }
      splits { split: SPLIT_TEST rows: 372 label_counts { key: "cat" value: 200 } label_counts { key: "dog" value: 172 } }
      images { min_width: 100 median_width: 200 max_width: 300 min_height: 64 median_height: 64 max_height: 64 format_counts { key: "jpeg" value: 1371 } total_bytes: 5000000 }
    })");
}

// A finished job on images of which everything is known.
inline ReportData SampleData() {
  ReportData data;
  data.job = SampleJob();
  for (int step = 1; step <= 120; ++step) {
    const std::string phase = step <= 90 ? "head" : "top";
    data.metrics.push_back(Point(
        step, phase,
        {{"loss", 1.0 / step}, {"learning_rate", 1e-3}, {"samples_per_second", 80 + step % 3}, {"input_wait", 0.1}}));
    if (step % 30 == 0)
      data.metrics.push_back(Point(step, phase, {{"eval_accuracy", 0.5 + step / 400.0}, {"eval_loss", 2.0 / step}}));
  }
  const auto event = [&](const std::string& text) { data.events.push_back(Parse<v1::JobEvent>(text)); };
  event(R"(sequence: 1 phase_started { phase: "head" index: 0 trainable_parameters: 10 total_parameters: 218 })");
  event(R"(sequence: 2 log_line { text: "warning: 3 images are grey" } create_time { seconds: 1799999110 })");
  event(R"(sequence: 3 phase_started { phase: "top" index: 1 trainable_parameters: 54 total_parameters: 218 })");
  event(
      R"(sequence: 4 evaluation { step: 120 split: "validation" rows: 90 is_best: true values { key: "accuracy" value: 0.8 } })");
  event(R"(sequence: 5 level: LEVEL_WARNING message: "a class has fewer than 8 rows")");
  event(R"(sequence: 6 log_line { text: "all is well" })");
  data.dataset = SampleDataset();
  data.model = SampleModel();
  data.layers = SampleLayers();
  data.checkpoints.push_back(Parse<v1::Checkpoint>(
      R"(name: "fineTuningJobs/j1/checkpoints/120" step: 120 is_best: true size_bytes: 90000000)"));
  data.server = Parse<v1::ServerInfo>(R"(version: "1.2.3" libtorch_version: "2.11.0")");
  data.devices.push_back(Parse<v1::Device>(R"(name: "cuda:0" description: "A GPU")"));
  data.evaluation = SampleEvaluation();
  data.mistake_pictures[7] = "\x89PNG mistake";
  data.suspect_pictures[3] = "\x89PNG suspect";
  data.now = absl::FromUnixSeconds(1'800'000'000);
  return data;
}

}  // namespace attune::cli
