// A checkpoint in memory, with what turns rows into batches for it: what prediction and evaluation run. Throws std::invalid_argument and TrainingError for a checkpoint that
// cannot be read. Not thread-safe.
//
//   const LoadedCheckpoint loaded = LoadCheckpoint(checkpoint_dir);
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "server/images/view.h"
#include "server/tokenizers/tokenizer.h"
#include "server/training/recipes/checkpoint_files.h"
#include "server/training/recipes/headed_model.h"

namespace attune::training {

struct LoadedCheckpoint {
  std::string directory;
  AttuneRecord record;
  HeadedModel headed;                                      // fp32 on the CPU
  std::shared_ptr<const tokenizers::Tokenizer> tokenizer;  // text models
  std::optional<images::ViewSpec> view;                    // image models
};

LoadedCheckpoint LoadCheckpoint(const std::string& directory);

}  // namespace attune::training
