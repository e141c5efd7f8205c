#include "server/training/input/image_batches.h"

#include <stdexcept>
#include <string>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include "absl/strings/str_cat.h"
#include "server/base/counter_random.h"
#include "server/images/mix.h"

namespace attune::training {
namespace {

// Streams of the job's seed: one for the views of each epoch, one for each fixed view, one for the mixing of an epoch's batches.
constexpr uint64_t kViewStream = 0x56494557'00000000ull;
constexpr uint64_t kFixedViewStream = 0x46495856'00000000ull;
constexpr uint64_t kMixStream = 0x4D495800'00000000ull;

at::Tensor EmptyPixels(int64_t count, int64_t size) { return at::empty({count, 3, size, size}, at::TensorOptions().dtype(at::kFloat)); }

}  // namespace

at::Tensor PixelsOf(const std::vector<std::string_view>& files, const images::ViewSpec& view, int64_t first, int test_view) {
  const int64_t count = static_cast<int64_t>(files.size());
  at::Tensor pixels = EmptyPixels(count, view.image_size);
  for (int64_t i = 0; i < count; ++i) {
    const absl::Status status = images::MakeTestView(files[i], view, test_view, pixels[i].mutable_data_ptr<float>());
    if (!status.ok()) throw std::invalid_argument(absl::StrCat("image ", first + i + 1, ": ", std::string(status.message())));
  }
  return pixels;
}

ImageBatches::ImageBatches(std::shared_ptr<const examples::ExampleReader> reader, examples::Split split, const BatchRowsOptions& rows,
                           const ImageViewOptions& options, TargetFunction targets)
    : reader_(std::move(reader)), split_(split), rows_(rows), options_(options), targets_(std::move(targets)) {}

uint64_t ImageBatches::ViewStream(int64_t epoch) const {
  if (options_.fixed_views == 0) return kViewStream + static_cast<uint64_t>(epoch);
  return kFixedViewStream + static_cast<uint64_t>((options_.first_view + epoch) % options_.fixed_views);
}

void ImageBatches::ReadImage(int64_t row, int64_t epoch, int64_t draw, float* out) const {
  const examples::ExampleView example = ReadRow(*reader_, split_, row);
  absl::Status status;
  if (options_.augmentation.has_value()) {
    CounterRandom random(StreamKey(rows_.options().seed, ViewStream(epoch)), static_cast<uint64_t>(options_.fixed_views > 0 ? row : draw));
    status = images::MakeView(example.image, options_.view, &*options_.augmentation, &random, out);
  } else {
    status = images::MakeTestView(example.image, options_.view, options_.test_view, out);
  }
  if (!status.ok()) throw std::invalid_argument(absl::StrCat(std::string(example.entry), ": ", std::string(status.message())));
}

void ImageBatches::Mix(int64_t epoch, int64_t batch_number, Batch& batch) const {
  if (batch.rows < 2 || !batch.targets.defined()) return;
  CounterRandom random(StreamKey(rows_.options().seed, kMixStream + static_cast<uint64_t>(epoch)), static_cast<uint64_t>(batch_number));
  const images::MixDraw draw = images::DrawMix(options_.mixup_alpha, options_.cutmix_alpha, options_.view.image_size, random);
  if (draw.kind == images::MixDraw::kNone) return;
  // Each row's partner is its neighbour, as in torchvision: the order is random already.
  const at::Tensor partner = batch.pixels.roll(1, 0);
  batch.mixed_targets = batch.targets.roll(1, 0);
  batch.mix = draw.weight;
  if (draw.kind == images::MixDraw::kMixup) {
    batch.pixels = batch.pixels * draw.weight + partner * (1 - draw.weight);
    return;
  }
  const images::Box& place = draw.box;
  const auto box = [&](const at::Tensor& pixels) { return pixels.slice(2, place.y, place.y + place.height).slice(3, place.x, place.x + place.width); };
  box(batch.pixels).copy_(box(partner));
}

Batch ImageBatches::Make(int64_t epoch, int64_t batch_number) const {
  Batch batch;
  batch.example_indices = rows_.Of(epoch, batch_number);
  batch.rows = static_cast<int64_t>(batch.example_indices.size());
  batch.pixels = EmptyPixels(batch.rows, options_.view.image_size);
  const int64_t stride = batch.pixels.stride(0);
  float* out = batch.pixels.mutable_data_ptr<float>();
  int64_t place = batch_number * rows_.options().batch_size;  // in the epoch
  for (const int64_t row : batch.example_indices) {
    ReadImage(row, epoch, rows_.may_repeat() ? place++ : row, out);
    out += stride;
  }
  batch.targets = ReadTargets(targets_, *reader_, split_, batch.example_indices);
  if (options_.augmentation.has_value() && (options_.mixup_alpha > 0 || options_.cutmix_alpha > 0)) Mix(epoch, batch_number, batch);
  return batch;
}

}  // namespace attune::training
