// A model catalogue and a dataset store with an entry for texts and one for images.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/catalogue/model_catalogue.h"
#include "server/datasets/dataset_store.h"

namespace attune::scheduler {

// models/mini, a BERT of two groups, and models/photo, a ResNet of the same.
class FakeCatalogue final : public catalogue::ModelCatalogue {
 public:
  absl::StatusOr<v1::Model> Import(const v1::ImportModelRequest&) override { return absl::UnimplementedError("fake"); }
  absl::StatusOr<v1::Model> Get(const std::string& name) override {
    v1::Model model;
    model.set_name(name);
    if (name == "models/mini") {
      model.set_display_name("Mini");
      model.set_architecture("bert");
      model.set_modality("text");
      model.set_max_length(64);
    } else if (name == "models/photo") {
      model.set_display_name("Photo");
      model.set_architecture("resnet50");
      model.set_modality("image");
      model.set_image_size(64);
      model.set_min_image_size(32);
      model.set_head_name("fc");
    } else {
      return absl::NotFoundError("no " + name);
    }
    return model;
  }
  absl::StatusOr<v1::ListModelsResponse> List(const ProjectSet&, int32_t, const std::string&) override {
    v1::ListModelsResponse response;
    for (const char* name : {"models/photo", "models/mini"}) *response.add_models() = Get(name).value();
    return response;
  }
  absl::Status Delete(const std::string&) override { return absl::UnimplementedError("fake"); }
  absl::StatusOr<v1::DescribeLayersResponse> DescribeLayers(const v1::DescribeLayersRequest&) override {
    v1::DescribeLayersResponse response;
    for (const char* group : {"embeddings", "layer.0"}) {
      v1::Layer& layer = *response.add_layers();
      layer.set_name(std::string(group) + ".weight");
      layer.set_group(group);
    }
    return response;
  }
  absl::StatusOr<std::string> Directory(const std::string& name) override {
    absl::MutexLock lock(&mutex_);
    if (!directory_error_.ok()) return directory_error_;
    return "/dir/" + name;
  }
  absl::StatusOr<std::shared_ptr<const tokenizers::Tokenizer>> Tokenizer(const std::string&) override { return absl::UnimplementedError("fake"); }
  void SetInUseCheck(std::function<bool(const std::string&)>) override {}
  void SetStorageCheck(artifacts::StorageCheck) override {}

  void FailDirectory(absl::Status error) {
    absl::MutexLock lock(&mutex_);
    directory_error_ = std::move(error);
  }

 private:
  absl::Mutex mutex_;
  absl::Status directory_error_ ABSL_GUARDED_BY(mutex_);
};

// datasets/tweets and datasets/reviews, two classes, the second with few rows; and datasets/flowers, the same of images.
class FakeDatasets final : public datasets::DatasetStore {
 public:
  absl::StatusOr<v1::Dataset> Import(const v1::ImportDatasetRequest&, const Progress&) override { return absl::UnimplementedError("fake"); }
  absl::StatusOr<v1::Dataset> Get(const std::string& name) override {
    if (name != "datasets/tweets" && name != "datasets/reviews" && name != "datasets/flowers") return absl::NotFoundError("no " + name);
    bool images = name == "datasets/flowers";
    v1::Dataset dataset;
    dataset.set_name(name);
    dataset.set_display_name(images ? "Flowers" : "Tweets");
    dataset.set_modality(images ? "image" : "text");
    dataset.set_state(v1::Dataset::STATE_READY);
    dataset.set_label_kind(v1::LABEL_KIND_SINGLE_LABEL);
    dataset.add_labels("bad");
    dataset.add_labels("good");
    for (v1::Split split : {v1::SPLIT_TRAIN, v1::SPLIT_VALIDATION}) {
      v1::SplitReport& report = *dataset.mutable_report()->add_splits();
      report.set_split(split);
      (*report.mutable_label_counts())["bad"] = 40;
      (*report.mutable_label_counts())["good"] = 5;
      report.set_rows(45);
    }
    return dataset;
  }
  absl::StatusOr<int64_t> StoredBytes(const std::string&) override { return 0; }
  absl::StatusOr<v1::ListDatasetsResponse> List(const ProjectSet&, int32_t, const std::string&) override {
    v1::ListDatasetsResponse response;
    for (const char* name : {"datasets/flowers", "datasets/tweets"}) response.add_datasets()->set_name(name);
    return response;
  }
  absl::Status Delete(const std::string&) override { return absl::UnimplementedError("fake"); }
  absl::StatusOr<v1::PreviewRowsResponse> Preview(const v1::PreviewRowsRequest&) override { return absl::UnimplementedError("fake"); }
  absl::StatusOr<std::string> Directory(const std::string& name) override { return "/dir/" + name; }
  void SetInUseCheck(std::function<bool(const std::string&)>) override {}
  void SetStorageCheck(artifacts::StorageCheck) override {}
};

}  // namespace attune::scheduler
