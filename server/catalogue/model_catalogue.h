// ModelCatalogue: base models that jobs start from. Owned by main, used by api/ and the spec check. Thread-safe.
// A model lives in {root}/{id}/ as a Hugging Face style directory; its row holds the public attune.v1.Model message.
// Import checks config.json (sizes within bounds, known architecture), safetensors (structure, names and shapes that
// the architecture expects, finite values) and a text model's tokenizer.json before anything becomes visible.
// Torch-free: what an architecture expects is written in server/architectures. Errors: INVALID_ARGUMENT naming file and
// tensor or key, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION (in use), RESOURCE_EXHAUSTED.
//
//   ATTUNE_ASSIGN_OR_RETURN(v1::Model model, models.Get("models/resnet"));
//   if (model.modality() == "image") return CheckSide(spec, model.image_size(), model.min_image_size());
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/model.pb.h"
#include "server/artifacts/artifact_store.h"
#include "server/base/clock.h"
#include "server/base/files.h"
#include "server/base/projects.h"
#include "server/database/database.h"
#include "server/tokenizers/tokenizer.h"

namespace attune::catalogue {

class ModelCatalogue {
 public:
  static absl::StatusOr<std::unique_ptr<ModelCatalogue>> Create(std::string root, Database& database,
                                                                artifacts::ArtifactStore& artifacts, Files& files,
                                                                const Clock& clock);
  virtual ~ModelCatalogue() = default;
  // Blocks on the disk while it reads all weights. Two imports of one id run one after the other.
  virtual absl::StatusOr<v1::Model> Import(const v1::ImportModelRequest& request) = 0;
  // Complete, whichever version imported it: what a job check needs to know (modality, image sizes, layer_groups, head_name) is in the message.
  virtual absl::StatusOr<v1::Model> Get(const std::string& name) = 0;
  // Those of `projects`, newest first; `page_token` is opaque. INVALID_ARGUMENT for a token that this server did not make.
  virtual absl::StatusOr<v1::ListModelsResponse> List(const ProjectSet& projects, int32_t page_size, const std::string& page_token) = 0;
  virtual absl::Status Delete(const std::string& name) = 0;
  virtual absl::StatusOr<v1::DescribeLayersResponse> DescribeLayers(const v1::DescribeLayersRequest& request) = 0;
  // Directory for workers, read-only for them. NOT_FOUND; DATA_LOSS when someone removed the files.
  virtual absl::StatusOr<std::string> Directory(const std::string& name) = 0;
  // Cached (most recent few). INVALID_ARGUMENT for a model that takes images.
  virtual absl::StatusOr<std::shared_ptr<const tokenizers::Tokenizer>> Tokenizer(const std::string& name) = 0;
  // Whether a job that has not ended uses the model; asked before deletion. Set once by main.
  virtual void SetInUseCheck(std::function<bool(const std::string& name)> in_use) = 0;
  // Asked about each import that is new. Set once, before any import; none allows everything.
  virtual void SetStorageCheck(artifacts::StorageCheck check) = 0;
};

}  // namespace attune::catalogue
