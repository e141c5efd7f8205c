// A catalogue over a real artifact store and database in a temporary directory, with a disk that can be made to fail.
// For the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/artifacts/local_artifact_store.h"
#include "server/base/status_macros.h"
#include "server/catalogue/model_catalogue.h"
#include "server/database/database.h"
#include "tests/fakes/fault_injecting_files.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/tiny_bert.h"
#include "tests/fakes/tiny_image_model.h"

namespace attune::catalogue {

class CatalogueHarness {
 public:
  CatalogueHarness() { Restart(); }

  ModelCatalogue& catalogue() { return *catalogue_; }
  artifacts::ArtifactStore& artifacts() { return *artifacts_; }
  FaultInjectingFiles& files() { return files_; }
  ManualClock& clock() { return clock_; }
  Database& database() { return *database_; }
  std::string root() const { return directory_.path() + "/models"; }

  void Restart() {
    const absl::Status status = TryRestart();
    ASSERT_TRUE(status.ok()) << status;
  }
  absl::Status TryRestart() {
    catalogue_.reset();
    artifacts_.reset();
    database_.reset();
    ATTUNE_ASSIGN_OR_RETURN(database_, Database::Open(directory_.path() + "/attune.db"));
    ATTUNE_ASSIGN_OR_RETURN(artifacts_, artifacts::LocalArtifactStore::Create(
                                            {.root = directory_.path() + "/artifacts", .keep_free_bytes = 1000},
                                            *database_, files_, clock_));
    ATTUNE_ASSIGN_OR_RETURN(catalogue_, ModelCatalogue::Create(root(), *database_, *artifacts_, files_, clock_));
    return absl::OkStatus();
  }

  // uploads/{id} with this content, complete.
  std::string Upload(const std::string& content) {
    const auto upload =
        artifacts_->CreateUpload({.filename = "file", .size_bytes = static_cast<int64_t>(content.size())});
    EXPECT_TRUE(upload.ok()) << upload.status();
    auto writer = *artifacts_->OpenUpload(upload->id, 0);
    EXPECT_TRUE(writer->Append(content).ok());
    EXPECT_TRUE(writer->Finish().ok());
    return "uploads/" + upload->id;
  }

  // The files of a tiny BERT, or of a tiny image model, by name.
  static std::map<std::string, std::string> TinyBertFiles(const TinyBertOptions& options = {}) {
    return WithWeights(TinyBertTextFiles(options), TinyBertTensors(options));
  }
  static std::map<std::string, std::string> TinyImageFiles(const TinyImageModelOptions& options = {}) {
    return WithWeights(TinyImageTextFiles(options), TinyImageTensors(options));
  }

  // Uploads the files and asks for them as `id`.
  v1::ImportModelRequest Request(const std::string& id, const std::map<std::string, std::string>& files) {
    v1::ImportModelRequest request;
    request.set_model_id(id);
    for (const auto& [name, content] : files) {
      v1::ModelFile& file = *request.add_files();
      file.set_path(name);
      file.set_upload(Upload(content));
    }
    return request;
  }
  v1::ImportModelRequest Request(const std::string& id, const TinyBertOptions& options = {}) {
    return Request(id, TinyBertFiles(options));
  }

 private:
  static std::map<std::string, std::string> WithWeights(std::map<std::string, std::string> files,
                                                        const std::vector<TinyTensor>& tensors) {
    TemporaryDirectory scratch;
    EXPECT_TRUE(WriteTinyTensors(scratch.path() + "/model.safetensors", tensors).ok());
    files["model.safetensors"] = *ReadFile(scratch.path() + "/model.safetensors");
    return files;
  }

  TemporaryDirectory directory_;
  FaultInjectingFiles files_;
  ManualClock clock_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<artifacts::ArtifactStore> artifacts_;
  std::unique_ptr<ModelCatalogue> catalogue_;
};

}  // namespace attune::catalogue
