// JobInput: how a job's rows become batches, by what its dataset holds. One for each modality; thread-safe. Throws as the batches do.
//
//   std::unique_ptr<JobInput> input = MakeImageInput(reader, ViewOf(layout.image, spec.image_size), spec.augmentation);
//   auto batches = input->Batches(Split::kTrain, {.rows = n, .batch_size = 32}, {RowView::kRandom}, targets);
#pragma once

#include <memory>
#include <string>

#include "server/architectures/architecture.h"
#include "server/examples/example.h"
#include "server/images/view.h"
#include "server/tokenizers/tokenizer.h"
#include "server/training/input/batch.h"
#include "server/training/input/batch_rows.h"
#include "server/training/input/targets.h"
#include "server/training/recipes/fine_tune_spec.h"

namespace attune::training {

// In which form rows are shown.
struct RowView {
  enum Kind {
    kPlain,
    kRandom,  // images are changed at random, anew in every epoch, as the spec's augmentation says
    kFixed,   // the same, but each image has cached_views() random views, and epoch e shows view number + e of them, modulo their number
    kTest,    // as images::MakeTestView numbers them
  };
  Kind kind = kPlain;
  int number = 0;
};

class JobInput {
 public:
  virtual ~JobInput() = default;
  // Texts are always plain.
  virtual std::unique_ptr<BatchSource> Batches(examples::Split split, const BatchRowsOptions& rows, const RowView& view, TargetFunction targets) const = 0;
  // The same of another dataset's rows.
  virtual std::unique_ptr<JobInput> Over(std::shared_ptr<const examples::ExampleReader> reader) const = 0;
  // Whether kRandom differs from kPlain.
  virtual bool augments() const = 0;
  // Random views that kFixed chooses from; 0: there are none.
  virtual int cached_views() const { return 0; }
  // Everything besides seed, view and row that decides what a fixed view looks like before preprocessing.
  virtual std::string augmentation() const { return ""; }
  // Everything besides the row itself that decides what a plain row looks like to the model; part of the feature cache's key.
  virtual std::string preprocessing() const = 0;
  // Threads that should make batches ahead, of those that the job has.
  virtual int loader_threads(int threads) const = 0;
};

// `tokenizer_digest`: SHA-256 of tokenizer.json.
std::unique_ptr<JobInput> MakeTextInput(std::shared_ptr<const examples::ExampleReader> reader, std::shared_ptr<const tokenizers::Tokenizer> tokenizer,
                                        const std::string& tokenizer_digest, int max_length);

std::unique_ptr<JobInput> MakeImageInput(std::shared_ptr<const examples::ExampleReader> reader, const images::ViewSpec& view, const AugmentationSpec& augmentation);

// The plain view of a model at `image_size` pixels (0: the model's own); the margin that the central crop cuts off keeps its proportion.
images::ViewSpec ViewOf(const architectures::ImageInput& input, int image_size);

}  // namespace attune::training
