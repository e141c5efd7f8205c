#include "server/training/recipes/job_input.h"

#include <cmath>
#include <utility>

#include <nlohmann/json.hpp>

#include "server/training/input/image_batches.h"
#include "server/training/input/text_batches.h"

namespace attune::training {
namespace {

class TextInput : public JobInput {
 public:
  TextInput(std::shared_ptr<const examples::ExampleReader> reader, std::shared_ptr<const tokenizers::Tokenizer> tokenizer, const std::string& tokenizer_digest,
            int max_length)
      : reader_(std::move(reader)), tokenizer_(std::move(tokenizer)), tokenizer_digest_(tokenizer_digest), max_length_(max_length) {}

  std::unique_ptr<BatchSource> Batches(examples::Split split, const BatchRowsOptions& rows, const RowView&, TargetFunction targets) const override {
    auto dataset = std::make_shared<TextDataset>(reader_, tokenizer_, split, TextDatasetOptions{.max_length = max_length_});
    return std::make_unique<TextBatches>(std::move(dataset), rows, std::move(targets));
  }
  std::unique_ptr<JobInput> Over(std::shared_ptr<const examples::ExampleReader> reader) const override {
    return std::make_unique<TextInput>(std::move(reader), tokenizer_, tokenizer_digest_, max_length_);
  }
  bool augments() const override { return false; }
  std::string preprocessing() const override { return nlohmann::json{{"tokenizer", tokenizer_digest_}, {"max_length", max_length_}}.dump(); }
  int loader_threads(int) const override { return 1; }

 private:
  const std::shared_ptr<const examples::ExampleReader> reader_;
  const std::shared_ptr<const tokenizers::Tokenizer> tokenizer_;
  const std::string tokenizer_digest_;
  const int max_length_;
};

constexpr int kViewVersion = 1;  // raised when MakeView gives other pixels for the same file

class ImageInput : public JobInput {
 public:
  ImageInput(std::shared_ptr<const examples::ExampleReader> reader, const images::ViewSpec& view, const AugmentationSpec& augmentation)
      : reader_(std::move(reader)), view_(view), augmentation_(augmentation) {}

  std::unique_ptr<BatchSource> Batches(examples::Split split, const BatchRowsOptions& rows, const RowView& view, TargetFunction targets) const override {
    ImageViewOptions options;
    options.view = view_;
    if (view.kind == RowView::kTest) options.test_view = view.number;
    if ((view.kind == RowView::kRandom || view.kind == RowView::kFixed) && augments()) {
      const AugmentationSpec& from = augmentation_;
      options.augmentation = images::Augmentation{from.crop_scale_min, from.horizontal_flip, from.brightness,
                                                  from.contrast,       from.saturation,      from.hue,
                                                  from.rand_augment_operations, from.rand_augment_magnitude};
      if (view.kind == RowView::kRandom) {
        options.mixup_alpha = from.mixup_alpha;
        options.cutmix_alpha = from.cutmix_alpha;
      } else {
        options.fixed_views = from.cached_views;
        options.first_view = view.number;
      }
    }
    return std::make_unique<ImageBatches>(reader_, split, rows, options, std::move(targets));
  }
  std::unique_ptr<JobInput> Over(std::shared_ptr<const examples::ExampleReader> reader) const override {
    return std::make_unique<ImageInput>(std::move(reader), view_, augmentation_);
  }
  bool augments() const override { return augmentation_.enabled; }
  int cached_views() const override { return augments() ? augmentation_.cached_views : 0; }
  std::string augmentation() const override {
    const AugmentationSpec& from = augmentation_;
    return nlohmann::json{{"crop_scale_min", from.crop_scale_min}, {"horizontal_flip", from.horizontal_flip}, {"brightness", from.brightness},
                          {"contrast", from.contrast},             {"saturation", from.saturation},           {"hue", from.hue},
                          {"rand_augment", {from.rand_augment_operations, from.rand_augment_magnitude}}}
        .dump();
  }
  std::string preprocessing() const override {
    return nlohmann::json{{"view", kViewVersion},      {"image_size", view_.image_size}, {"resize_size", view_.resize_size},
                          {"bicubic", view_.bicubic}, {"mean", view_.mean},             {"std", view_.standard_deviation}}
        .dump();
  }
  // Decoding is work for a core of its own, and the step's own threads share the rest.
  int loader_threads(int threads) const override { return threads; }

 private:
  const std::shared_ptr<const examples::ExampleReader> reader_;
  const images::ViewSpec view_;
  const AugmentationSpec augmentation_;
};

}  // namespace

std::unique_ptr<JobInput> MakeTextInput(std::shared_ptr<const examples::ExampleReader> reader, std::shared_ptr<const tokenizers::Tokenizer> tokenizer,
                                        const std::string& tokenizer_digest, int max_length) {
  return std::make_unique<TextInput>(std::move(reader), std::move(tokenizer), tokenizer_digest, max_length);
}

std::unique_ptr<JobInput> MakeImageInput(std::shared_ptr<const examples::ExampleReader> reader, const images::ViewSpec& view, const AugmentationSpec& augmentation) {
  return std::make_unique<ImageInput>(std::move(reader), view, augmentation);
}

images::ViewSpec ViewOf(const architectures::ImageInput& input, int image_size) {
  images::ViewSpec view;
  view.image_size = image_size > 0 ? image_size : input.image_size;
  view.resize_size = static_cast<int>(std::lround(static_cast<double>(input.resize_size) * view.image_size / input.image_size));
  view.bicubic = input.bicubic;
  view.mean = input.mean;
  view.standard_deviation = input.standard_deviation;
  return view;
}

}  // namespace attune::training
