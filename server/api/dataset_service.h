// DatasetService: a thin face of DatasetStore. An import runs to its end on the imports pool whether or not its client stays; the stream only reports.
// Owned by ApiServer. Thread-safe. Errors: those of DatasetStore; a failed import carries one BadRequest violation for each bad row (as many of the
// first 100 as fit in a status), and its message says how to see all of them and how to allow them.
#pragma once

#include "attune/v1/dataset.grpc.pb.h"
#include "server/api/access/access.h"
#include "server/api/blocking_pool.h"
#include "server/artifacts/artifact_store.h"
#include "server/datasets/dataset_store.h"

namespace attune::api {

class DatasetService final : public v1::DatasetService::CallbackService {
 public:
  // `pool` runs reads; `imports` what takes minutes.
  DatasetService(Access& access, datasets::DatasetStore& store, artifacts::ArtifactStore& artifacts, BlockingPool& pool, BlockingPool& imports)
      : access_(access), store_(store), artifacts_(artifacts), pool_(pool), imports_(imports) {}

  grpc::ServerWriteReactor<v1::ImportDatasetResponse>* ImportDataset(grpc::CallbackServerContext* context,
                                                                     const v1::ImportDatasetRequest* request) override;
  grpc::ServerUnaryReactor* GetDataset(grpc::CallbackServerContext* context, const v1::GetDatasetRequest* request,
                                       v1::Dataset* response) override;
  grpc::ServerUnaryReactor* ListDatasets(grpc::CallbackServerContext* context, const v1::ListDatasetsRequest* request,
                                         v1::ListDatasetsResponse* response) override;
  grpc::ServerUnaryReactor* DeleteDataset(grpc::CallbackServerContext* context, const v1::DeleteDatasetRequest* request,
                                          v1::DeleteDatasetResponse* response) override;
  grpc::ServerUnaryReactor* PreviewRows(grpc::CallbackServerContext* context, const v1::PreviewRowsRequest* request,
                                        v1::PreviewRowsResponse* response) override;

 private:
  Access& access_;
  datasets::DatasetStore& store_;
  artifacts::ArtifactStore& artifacts_;
  BlockingPool& pool_;
  BlockingPool& imports_;
};

}  // namespace attune::api
