// From files on this machine to a dataset or a base model on the server, in one call: uploads each file (upload.h),
// then imports them. Thread-safe.
//
//   v1::ImportDatasetRequest request;
//   request.set_dataset_id("reviews");
//   ATTUNE_ASSIGN_OR_RETURN(v1::Dataset dataset, ImportDatasetFiles(*client, {{"reviews.csv"}}, request));
//
// Errors: those of UploadFile; INVALID_ARGUMENT for a directory that lacks what a model needs; the server's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/dataset.pb.h"
#include "attune/v1/model.pb.h"
#include "client/cpp/client.h"
#include "client/cpp/upload.h"

namespace attune::client {

struct DatasetFile {
  std::string path;  // a file, or a folder of images, which goes as one tar file (pack_directory.h)
  v1::Split split = v1::SPLIT_UNSPECIFIED;
};

struct ImportCallbacks {
  OnTransfer upload;
  Client::ImportProgress import;
};

// `request` says everything but the files.
absl::StatusOr<v1::Dataset> ImportDatasetFiles(Client& client, const std::vector<DatasetFile>& files,
                                               v1::ImportDatasetRequest request, const ImportCallbacks& callbacks = {});

// Names of a Hugging Face style directory's files that go to the server: config.json, model.safetensors, and of the others
// that a model of such a modality has those that are there. A text model must have its tokenizer.json; of an unknown one
// (empty) all are taken. INVALID_ARGUMENT that says what is missing and how to make it.
absl::StatusOr<std::vector<std::string>> FindModelFiles(const std::string& directory, std::string_view modality);

// `request` says everything but the files. An empty model_id becomes the directory's name. Asks the server what the
// architecture of config.json takes, so that a missing tokenizer shows before anything is uploaded.
absl::StatusOr<v1::Model> ImportModelDirectory(Client& client, const std::string& directory,
                                               v1::ImportModelRequest request, const OnTransfer& progress = nullptr);

}  // namespace attune::client
