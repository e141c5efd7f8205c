#include "server/training/recipes/loaded_checkpoint.h"

#include <utility>

#include "server/base/files.h"
#include "server/training/recipes/job_input.h"
#include "server/training/steps/training_error.h"

namespace attune::training {

LoadedCheckpoint LoadCheckpoint(const std::string& directory) {
  LoadedCheckpoint loaded;
  loaded.directory = directory;
  auto record = ReadFile(directory + "/" + kAttuneFile);
  ThrowIfError(record.status());
  loaded.record = AttuneRecord::FromJson(*record);
  const nlohmann::json config = ReadConfig(directory);
  HeadOptions head;
  head.task = loaded.record.task;
  head.labels = loaded.record.labels;
  head.hidden_sizes = loaded.record.head_hidden_sizes;
  head.activation = loaded.record.head_activation;
  loaded.headed = CreateHeadedModel(config, head);
  LoadTensors(loaded.headed.tensors(), directory + "/" + kModelFile);
  const architectures::Architecture& architecture = loaded.headed.factory->description_of();
  if (architecture.modality == architectures::Modality::kImage) {
    const auto layout = architecture.describe(config);
    ThrowIfError(layout.status());
    loaded.view = ViewOf(layout->image, loaded.record.image_size);
    return loaded;
  }
  auto tokenizer = tokenizers::LoadTokenizer(directory);
  ThrowIfError(tokenizer.status());
  loaded.tokenizer = *std::move(tokenizer);
  return loaded;
}

}  // namespace attune::training
