// UploadService: files on their way in. A thin face of ArtifactStore; the bytes come through streams/upload_stream.h. Owned by ApiServer. Thread-safe.
// Errors: those of ArtifactStore and of the stream.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "attune/v1/upload.grpc.pb.h"
#include "server/api/access/access.h"
#include "server/api/blocking_pool.h"
#include "server/artifacts/artifact_store.h"

namespace attune::api {

struct UploadLimits {
  int64_t max_bytes = int64_t{1} << 40;            // of one upload
  absl::Duration idle_timeout = absl::Minutes(2);  // of a stream
};

class UploadService final : public v1::UploadService::CallbackService {
 public:
  UploadService(Access& access, artifacts::ArtifactStore& store, BlockingPool& pool, UploadLimits limits)
      : access_(access), store_(store), pool_(pool), limits_(limits) {}

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
  const UploadLimits limits_;
};

}  // namespace attune::api
