// Batches of images: decoded, brought to the model's size, augmented and normalised on loader threads. What an example becomes depends on (seed, epoch, example) alone;
// where an epoch may have a row twice, on (seed, epoch, place in the epoch), so that the two differ; and where
// views are fixed on (seed, view, example).
//
//   ImageBatches batches(reader, Split::kTrain, {.rows = 3068, .batch_size = 32}, {.view = view, .augmentation = augmentation}, targets);
//   Batch batch = batches.Make(/*epoch=*/0, /*batch=*/3);   // batch.pixels [32, 3, S, S]
//
// Thread-safe. Throws std::invalid_argument naming the image that cannot be read, std::runtime_error where the dataset is damaged.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "server/examples/example.h"
#include "server/images/view.h"
#include "server/training/input/batch.h"
#include "server/training/input/batch_rows.h"
#include "server/training/input/targets.h"

namespace attune::training {

struct ImageViewOptions {
  images::ViewSpec view;
  std::optional<images::Augmentation> augmentation;  // absent: plain views
  double mixup_alpha = 0, cutmix_alpha = 0;          // 0: none; used only with augmentation
  int fixed_views = 0;   // over 0, with augmentation: each example has this many random views, and epoch e shows view (first_view + e) mod fixed_views
  int first_view = 0;
  int test_view = 0;     // without augmentation: as images::MakeTestView
};

// Pixels [images, 3, S, S] of image files, plain views or those that images::MakeTestView numbers; for prediction. Throws std::invalid_argument naming the image by its
// position, counted from `first` + 1.
at::Tensor PixelsOf(const std::vector<std::string_view>& files, const images::ViewSpec& view, int64_t first = 0, int test_view = 0);

class ImageBatches : public BatchSource {
 public:
  ImageBatches(std::shared_ptr<const examples::ExampleReader> reader, examples::Split split, const BatchRowsOptions& rows, const ImageViewOptions& options,
               TargetFunction targets);
  int64_t batches_per_epoch() const override { return rows_.batches_per_epoch(); }
  Batch Make(int64_t epoch, int64_t batch) const override;

 private:
  uint64_t ViewStream(int64_t epoch) const;
  void ReadImage(int64_t row, int64_t epoch, int64_t draw, float* out) const;
  void Mix(int64_t epoch, int64_t batch_number, Batch& batch) const;

  const std::shared_ptr<const examples::ExampleReader> reader_;
  const examples::Split split_;
  const BatchRows rows_;
  const ImageViewOptions options_;
  const TargetFunction targets_;
};

}  // namespace attune::training
