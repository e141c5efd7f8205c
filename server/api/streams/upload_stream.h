// The stream that takes one upload's bytes, with backpressure: a chunk is read from the network only when the one before is written, so an upload holds one
// chunk (1 MiB at most) however fast its client is. gRPC's threads only pass messages on; open, append and finish run on the pool, one at a time. A cut
// connection keeps what was written, and so does a client that says nothing for `idle_timeout`: its stream ends, and what it holds is free. Thread-safe.
// Errors: those of ArtifactStore; INVALID_ARGUMENT for chunks over 1 MiB; OUT_OF_RANGE (UPLOAD_OFFSET) and UNAVAILABLE (UPLOAD_IDLE) say where to go on in
// metadata "committedBytes".
//
//   return StartUpload({access_, store_, pool_, absl::Minutes(2)}, access_.CallerOf(*context), response);
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "attune/v1/upload.pb.h"
#include "grpcpp/support/server_callback.h"
#include "server/api/access/access.h"
#include "server/api/blocking_pool.h"
#include "server/artifacts/artifact_store.h"

namespace attune::api {

struct UploadStreamContext {
  Access& access;
  artifacts::ArtifactStore& store;
  BlockingPool& pool;
  absl::Duration idle_timeout;  // between two messages, and before the first
};

v1::Upload UploadProto(const artifacts::UploadInfo& info);

// The {id} of "uploads/{id}"; INVALID_ARGUMENT for other names.
absl::StatusOr<std::string> UploadId(const std::string& name);

// The reactor of one call, which gRPC owns.
grpc::ServerReadReactor<v1::WriteUploadRequest>* StartUpload(const UploadStreamContext& context, absl::StatusOr<Caller> caller, v1::Upload* response);

}  // namespace attune::api
