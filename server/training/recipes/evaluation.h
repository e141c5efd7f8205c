// What the evaluation of a checkpoint takes and gives: plain values, free of torch and protobuf.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "server/training/recipes/job_reporter.h"
#include "server/training/tasks/calibration.h"

namespace attune::training {

struct EvaluationRequest {
  std::string checkpoint_dir;
  std::string dataset_dir;
  std::string split;        // "train", "validation" or "test"; empty: test where it has rows, otherwise validation
  int64_t suspects = 0;     // most of them to find in the training split; 0: they are not looked for
  int64_t mistakes = 20;    // most of them to name
  int64_t batch_size = 64;
};

// How it goes on, and whether it should. Called on the training thread.
struct EvaluationControl {
  std::function<void(int64_t rows_done, int64_t rows_total)> progress;  // before the first batch and after each
  std::function<bool()> stop_requested;                                // asked before each batch
  int threads = 1;                                                     // that may make batches
};

// A row, and what the model says of it; see Agreement for the figures.
struct JudgedRow {
  int64_t row = 0;   // in its split
  std::string filename;
  int64_t line = 0;  // 0 for images
  std::string entry;  // images: path in the archive
  std::string text;   // the first 200 characters; empty for images
  std::vector<std::string> labels, predicted_labels;  // class names; empty for regression
  double label_probability = 0, predicted_probability = 0, margin = 0, loss = 0;
  double value = 0, predicted_value = 0;              // regression
};

struct EvaluationOutput {
  EvaluationReport figures;                 // without the step
  std::vector<CalibrationBin> calibration;  // empty for regression
  std::vector<JudgedRow> mistakes;          // surest first; regression: largest error first
  std::vector<JudgedRow> suspects;          // most decided contradiction first; regression: largest error first
  int64_t contradicted_rows = 0;            // of the training split; 0 for regression
  int64_t training_rows = 0;                // 0 where no suspects were looked for
};

}  // namespace attune::training
