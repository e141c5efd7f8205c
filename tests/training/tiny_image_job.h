// A tiny MobileNetV2 with seeded random weights, and a dataset of small images whose classes are colours: what tests of image jobs train with. Header-only.
//
//   TinyImageJob job;
//   FineTune(TinyImageSpec(), job.paths(), reporter, Files::Posix());
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "server/base/counter_random.h"
#include "server/base/files.h"
#include "server/examples/example.h"
#include "server/training/models/model.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/weights/safetensors.h"
#include "tests/training/tiny_job.h"

namespace attune::training {

inline nlohmann::json TinyImageConfig() {
  return {{"model_type", "mobilenet_v2"}, {"width_mult", 0.25}, {"inverted_residual_setting", {{1, 8, 1, 1}, {2, 8, 1, 2}, {2, 16, 2, 2}}},
          {"image_size", 32},             {"resize_size", 36}};
}

// Parameters and buffers of a model as safetensors, under their own names.
inline void WriteImageModel(const std::string& directory, const nlohmann::json& config, uint64_t seed = 7) {
  ASSERT_TRUE(Files::Posix().CreateDirectories(directory).ok());
  WriteText(directory + "/config.json", config.dump());
  const ModelFactory* factory = ModelRegistry::Get().Find(config["model_type"].get<std::string>());
  ASSERT_NE(factory, nullptr);
  const std::unique_ptr<Model> model = factory->create(config, seed);
  std::vector<weights::TensorView> views;
  const auto add = [&](const std::string& name, const at::Tensor& t) {
    views.push_back({name, t.scalar_type() == at::kLong ? weights::DType::kI64 : weights::DType::kF32, t.sizes().vec(),
                     {static_cast<const char*>(t.const_data_ptr()), static_cast<size_t>(t.nbytes())}});
  };
  for (const Parameter& parameter : model->parameters()) add(parameter.name, parameter.tensor);
  for (const Buffer& buffer : model->buffers()) add(buffer.name, buffer.tensor);
  const absl::Status status = weights::WriteSafetensors(Files::Posix(), directory + "/model.safetensors", views, {{"format", "pt"}});
  ASSERT_TRUE(status.ok()) << status;
}

inline constexpr int kTinyClasses = 3;

// A binary PPM of 40 x 36 noisy pixels, mostly red, green or blue.
inline std::string TinyImage(int64_t i) {
  constexpr int kWidth = 40, kHeight = 36;
  CounterRandom random(11, static_cast<uint64_t>(i));
  std::string bytes = absl::StrCat("P6\n", kWidth, " ", kHeight, "\n255\n");
  for (int pixel = 0; pixel < kWidth * kHeight; ++pixel) {
    for (int channel = 0; channel < 3; ++channel) bytes.push_back(static_cast<char>(random.Below(120) + (channel == i % kTinyClasses ? 110 : 0)));
  }
  return bytes;
}

inline void WriteTinyImages(const std::string& directory, const TinyRows& rows = {}) {
  auto writer = examples::ExampleWriter::Create(Files::Posix(), directory);
  ASSERT_TRUE(writer.ok()) << writer.status();
  int64_t next = 0;
  for (auto [split, count] : {std::pair{examples::Split::kTrain, rows.train}, {examples::Split::kValidation, rows.validation}, {examples::Split::kTest, rows.test}}) {
    for (int64_t i = 0; i < count; ++i, ++next) {
      examples::Example example;
      example.image = TinyImage(next);
      example.entry = absl::StrCat("photos/", next, ".ppm");
      example.labels = {static_cast<int32_t>(next % kTinyClasses)};
      ASSERT_TRUE((*writer)->Add(split, example).ok());
    }
  }
  examples::DatasetManifest manifest;
  manifest.modality = examples::Modality::kImage;
  manifest.labels = {"red", "green", "blue"};
  manifest.filenames = {"photos.tar"};
  const absl::Status status = (*writer)->Finish(manifest);
  ASSERT_TRUE(status.ok()) << status;
}

class TinyImageJob {
 public:
  explicit TinyImageJob(const TinyRows& rows = {}, const nlohmann::json& config = TinyImageConfig()) {
    WriteImageModel(root_.path() + "/model", config);
    WriteTinyImages(root_.path() + "/dataset", rows);
  }
  // `output` keeps runs on the same model and dataset apart. No feature cache, unless asked for.
  JobPaths paths(const std::string& output = "out", bool cached = false) const {
    JobPaths paths;
    paths.model_dir = root_.path() + "/model";
    paths.dataset_dir = root_.path() + "/dataset";
    paths.output_dir = root_.path() + "/" + output;
    if (cached) {
      paths.feature_cache_dir = root_.path() + "/feature-cache";
      paths.feature_cache_bytes = 64 << 20;
    }
    return paths;
  }
  std::string checkpoint(int64_t step, const std::string& output = "out") const {
    return absl::StrCat(root_.path(), "/", output, "/checkpoints/step-", step);
  }

 private:
  TemporaryDirectory root_;
};

// Head, then everything: 6 steps and 12.
inline FineTuneSpec TinyImageSpec() {
  FineTuneSpec spec = TinySpec();
  spec.task = "image-classification";
  spec.head_dropout = 0.1;
  spec.phases[0].augment = false;
  spec.phases[1].learning_rate = 2e-3;
  spec.augmentation.enabled = true;
  spec.augmentation.crop_scale_min = 0.6;
  spec.augmentation.horizontal_flip = 0.5;
  return spec;
}

}  // namespace attune::training
