// UploadService: files on their way in. A thin face of ArtifactStore, and the reactor that streams chunks to it with backpressure: a chunk is read
// from the network only when the one before is written, so an upload holds one chunk (1 MiB at most) however fast its client is. Owned by
// ApiServer. Thread-safe. A cut connection keeps what was written.
// Errors: those of ArtifactStore; INVALID_ARGUMENT for chunks over 1 MiB; an OUT_OF_RANGE tells the right offset in metadata "committedBytes".
#pragma once

#include <cstdint>

#include "attune/v1/upload.grpc.pb.h"
#include "server/api/access/access.h"
#include "server/api/blocking_pool.h"
#include "server/artifacts/artifact_store.h"

namespace attune::api {

class UploadService final : public v1::UploadService::CallbackService {
 public:
  UploadService(Access& access, artifacts::ArtifactStore& store, BlockingPool& pool, int64_t max_upload_bytes)
      : access_(access), store_(store), pool_(pool), max_upload_bytes_(max_upload_bytes) {}

  grpc::ServerUnaryReactor* CreateUpload(grpc::CallbackServerContext* context, const v1::CreateUploadRequest* request,
                                         v1::Upload* response) override;
  grpc::ServerUnaryReactor* GetUpload(grpc::CallbackServerContext* context, const v1::GetUploadRequest* request,
                                      v1::Upload* response) override;
  grpc::ServerReadReactor<v1::WriteUploadRequest>* WriteUpload(grpc::CallbackServerContext* context,
                                                               v1::Upload* response) override;
  grpc::ServerUnaryReactor* DeleteUpload(grpc::CallbackServerContext* context, const v1::DeleteUploadRequest* request,
                                         v1::DeleteUploadResponse* response) override;

 private:
  Access& access_;
  artifacts::ArtifactStore& store_;
  BlockingPool& pool_;
  const int64_t max_upload_bytes_;
};

}  // namespace attune::api
