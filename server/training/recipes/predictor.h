// Predictor: runs checkpoints on texts or images. Keeps the last checkpoint loaded, so that a second request does not wait for it. The training thread alone. Throws
// std::invalid_argument (a text that cannot be tokenised, an image that cannot be read) and TrainingError (a checkpoint that cannot be read).
//
//   Predictor predictor;
//   std::vector<PredictionOutput> out = predictor.Predict(checkpoint_dir, {{.text = "well done"}});
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/training/input/batch.h"
#include "server/training/recipes/loaded_checkpoint.h"
#include "server/training/recipes/prediction.h"

namespace attune::training {

class Predictor {
 public:
  // One output for each input, in order. fp32 on the CPU. `views`: of each image, over which probabilities are averaged (images::MakeTestView); not for texts.
  std::vector<PredictionOutput> Predict(const std::string& checkpoint_dir, const std::vector<PredictionInput>& inputs, int views = 1);
  // Lets the loaded checkpoint's memory go.
  void Clear() { loaded_.reset(); }

 private:
  static Batch MakeBatch(const LoadedCheckpoint& loaded, const std::vector<PredictionInput>& inputs, size_t begin, size_t end, int view);
  static void PredictBatch(const LoadedCheckpoint& loaded, const std::vector<PredictionInput>& inputs, size_t begin, size_t end, int views,
                           std::vector<PredictionOutput>* outputs);

  std::optional<LoadedCheckpoint> loaded_;
};

}  // namespace attune::training
