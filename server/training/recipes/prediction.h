// What prediction takes and gives: plain values, free of torch and protobuf.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace attune::training {

struct PredictionInput {
  std::string text;
  std::string text_pair;  // empty: a single text
  std::string image;      // content of an image file; for image models, in place of texts
};

struct PredictionOutput {
  std::vector<std::pair<std::string, double>> scores;  // all classes, most probable first; empty for regression
  std::vector<std::string> labels;                     // the most probable for single label; those of at least 0.5 for multi-label
  double value = 0;                                    // regression
  std::vector<float> logits;                           // in label order
  bool truncated = false;                              // the text was longer than the model takes
};

// Pure. `probabilities` and `logits` are of one text, in label order; no labels means regression.
PredictionOutput MakePrediction(const std::vector<std::string>& labels, bool multi_label, const std::vector<double>& probabilities,
                                const std::vector<float>& logits);

}  // namespace attune::training
