// The stream of a call that is refused: it ends at once. gRPC owns it.
//
//   return new Refusal<v1::EvaluateResponse>(status);
#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/server_callback.h"
#include "server/api/grpc_status.h"

namespace attune::api {

template <typename Response>
class Refusal final : public grpc::ServerWriteReactor<Response> {
 public:
  explicit Refusal(const absl::Status& status) { this->Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace attune::api
