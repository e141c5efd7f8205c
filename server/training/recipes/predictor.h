// Predictor: runs checkpoints on texts. Keeps the last checkpoint loaded, so that a second request does not wait for it. The training thread alone. Throws
// std::invalid_argument (a text that cannot be tokenised) and TrainingError (a checkpoint that cannot be read).
//
//   Predictor predictor;
//   std::vector<PredictionOutput> out = predictor.Predict(checkpoint_dir, {{.text = "well done"}});
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/tokenizers/tokenizer.h"
#include "server/training/recipes/checkpoint_files.h"
#include "server/training/recipes/headed_model.h"
#include "server/training/recipes/prediction.h"

namespace attune::training {

class Predictor {
 public:
  // One output for each input, in order. fp32 on the CPU.
  std::vector<PredictionOutput> Predict(const std::string& checkpoint_dir, const std::vector<PredictionInput>& inputs);
  // Lets the loaded checkpoint's memory go.
  void Clear() { loaded_.reset(); }

 private:
  struct Loaded {
    std::string directory;
    AttuneRecord record;
    HeadedModel headed;
    std::shared_ptr<const tokenizers::Tokenizer> tokenizer;
  };
  static std::unique_ptr<Loaded> Load(const std::string& checkpoint_dir);
  static void PredictBatch(const Loaded& loaded, const std::vector<PredictionInput>& inputs, size_t begin, size_t end,
                           std::vector<PredictionOutput>* outputs);

  std::unique_ptr<Loaded> loaded_;
};

}  // namespace attune::training
