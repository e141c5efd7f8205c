// The stream that reports an import: progress at most each 200 ms, then the dataset or the error. The import itself is a function that runs on a pool and
// goes on when the stream's client has left. Thread-safe.
//
//   return StartImport(imports_, [this, request = *request](const auto& progress) { return store_.Import(request, progress); });
#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "attune/v1/dataset.pb.h"
#include "grpcpp/support/server_callback.h"
#include "server/api/blocking_pool.h"
#include "server/datasets/dataset_store.h"

namespace attune::api {

using ImportFunction = std::function<absl::StatusOr<v1::Dataset>(const datasets::DatasetStore::Progress&)>;

// The reactor of one ImportDataset call, which gRPC owns. RESOURCE_EXHAUSTED when the pool is full.
grpc::ServerWriteReactor<v1::ImportDatasetResponse>* StartImport(BlockingPool& pool, ImportFunction import);

// A reactor that ends at once.
grpc::ServerWriteReactor<v1::ImportDatasetResponse>* RefuseImport(const absl::Status& status);

}  // namespace attune::api
