// DatasetStore: imports uploaded files into datasets and keeps their reports. Owned by main, used by api/. Thread-safe.
// A dataset lives in {root}/{id}/ in the canonical form of server/examples; its row in the Database holds the public
// attune.v1.Dataset message. Imports run on the caller's thread. After a crash, datasets still IMPORTING become FAILED
// at Create ("the server stopped during the import").
// Errors: INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS (a name or request_id that is taken), FAILED_PRECONDITION (in
// use, not ready), RESOURCE_EXHAUSTED (disk full; nothing stays behind), DATA_LOSS (damaged files).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/dataset.pb.h"
#include "server/artifacts/artifact_store.h"
#include "server/base/clock.h"
#include "server/base/files.h"
#include "server/base/projects.h"
#include "server/database/database.h"
#include "server/datasets/images/archive_reader.h"
#include "server/datasets/images/image_check.h"
#include "server/examples/example.h"
#include "server/tokenizers/tokenizer.h"

namespace attune::datasets {

struct DatasetStoreOptions {
  std::string root;                                // directory of the datasets
  int64_t max_row_bytes = 4 << 20;                 // longer rows are a ROW_TOO_LONG issue
  int64_t max_rows = 30'000'000;                   // of one import, which has some 80 bytes of each in memory; of images a fifth as many
  int64_t max_unpacked_bytes = int64_t{64} << 30;  // decompression bombs end here
  ImageLimits image_limits;
  ArchiveLimits archive_limits;
};

// Resolves models/{id} to a tokenizer; supplied by main from the catalogue.
using TokenizerProvider =
    std::function<absl::StatusOr<std::shared_ptr<const tokenizers::Tokenizer>>(const std::string& model_name)>;

class DatasetStore {
 public:
  static absl::StatusOr<std::unique_ptr<DatasetStore>> Create(DatasetStoreOptions options, Database& database,
                                                              artifacts::ArtifactStore& artifacts, Files& files,
                                                              const Clock& clock, TokenizerProvider tokenizers);
  virtual ~DatasetStore() = default;

  // Called with (rows_read, fraction of input bytes) after every few thousand rows and each file, on the importing
  // thread.
  using Progress = std::function<void(int64_t, double)>;
  // Blocks until the dataset is READY. When the data cannot be used (bad rows exceed max_bad_rows, a column is missing,
  // one class only, ...): INVALID_ARGUMENT whose message names the first fault, and the dataset (state FAILED) is kept
  // with its full report so that Get can show all issues; the dataset's name is in payload "attune.v1.Dataset", and
  // where one field of the request is to be changed, that is in "google.rpc.BadRequest". A FAILED dataset makes room
  // for the next import of the same dataset_id. Any other error leaves neither row nor files. The same request_id and
  // payload gives the first answer, or waits for it while that import runs.
  virtual absl::StatusOr<v1::Dataset> Import(const v1::ImportDatasetRequest& request, const Progress& progress) = 0;
  virtual absl::StatusOr<v1::Dataset> Get(const std::string& name) = 0;
  // Those of `projects`, newest first; `page_token` is opaque. INVALID_ARGUMENT for a token that this server did not make.
  virtual absl::StatusOr<v1::ListDatasetsResponse> List(const ProjectSet& projects, int32_t page_size, const std::string& page_token) = 0;
  virtual absl::Status Delete(const std::string& name) = 0;
  virtual absl::StatusOr<v1::PreviewRowsResponse> Preview(const v1::PreviewRowsRequest& request) = 0;

  // What the datasets of a project take of the disk.
  virtual absl::StatusOr<int64_t> StoredBytes(const std::string& project) = 0;
  // Directory of a READY dataset, for workers. FAILED_PRECONDITION when it is not ready.
  virtual absl::StatusOr<std::string> Directory(const std::string& name) = 0;
  // Whether a job that has not ended uses the dataset; asked before deletion. Set once by main.
  virtual void SetInUseCheck(std::function<bool(const std::string& name)> in_use) = 0;
  // Asked before an import, every 64 MiB of it, and about its whole size before it is READY. Set once, before any import; none allows everything.
  virtual void SetStorageCheck(artifacts::StorageCheck check) = 0;
};

}  // namespace attune::datasets
