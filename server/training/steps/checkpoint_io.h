// Checkpoint directories: what is in one, and how it is written so that it is either whole or absent. Torch-free. Thread-safe.
//
//   step-120/
//     model.safetensors config.json tokenizer.json ...  purpose "weights": what transformers loads
//     attune.json                                       purpose "weights": task, labels and limits, for Predict
//     optimizer.safetensors training_state.json         purpose "resume"; where weights are averaged, optimizer.safetensors has the unaveraged ones too
//     manifest.json                                     {"step": 120, "files": [{"path", "size_bytes", "sha256", "purpose"}]}
//
// Everything is written to step-120.tmp and synced; then the directory is renamed and its parent synced.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/base/files.h"
#include "server/weights/safetensors.h"

namespace attune::training {

inline constexpr char kModelFile[] = "model.safetensors";
inline constexpr char kOptimizerFile[] = "optimizer.safetensors";
inline constexpr char kTrainingStateFile[] = "training_state.json";
inline constexpr char kConfigFile[] = "config.json";
inline constexpr char kAttuneFile[] = "attune.json";
inline constexpr char kManifestFile[] = "manifest.json";

// A small file of a checkpoint, in memory. Shared by all checkpoints of a job where it does not change.
struct CheckpointFile {
  std::string path;  // within the directory
  std::shared_ptr<const std::string> content;
  bool for_resume = false;
};

struct CheckpointContent {
  int64_t step = 0;
  std::vector<weights::TensorView> weights;    // what they view must live until the write is done
  std::vector<weights::TensorView> optimizer;
  std::vector<CheckpointFile> files;
};

std::string CheckpointDirectory(int64_t step);  // "step-120"

// Writes {root}/step-N, over one that may be there from an attempt that was lost. On failure nothing is left behind, and the status is that of the file
// operation: RESOURCE_EXHAUSTED when the disk is full.
absl::Status WriteCheckpoint(Files& files, const std::string& root, const CheckpointContent& content);

// Removes what writes that were cut off left in `root`.
absl::Status RemoveUnfinishedCheckpoints(Files& files, const std::string& root);

}  // namespace attune::training
