// WorkerEndpoint: the private address that local workers dial: a gRPC server on a Unix socket that only this user can open. Owned by main; it must go before the
// pool whose service it serves. Thread-safe.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto endpoint, WorkerEndpoint::Start(data_directory + "/workers.sock", pool->service()));
//   options.server_address = endpoint->address();   // "unix:/.../workers.sock"
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/impl/codegen/service_type.h"
#include "grpcpp/server.h"

namespace attune::workers {

class WorkerEndpoint {
 public:
  // Replaces a socket that a dead server left. INVALID_ARGUMENT for a path over 107 bytes, UNAVAILABLE when it can't listen.
  static absl::StatusOr<std::unique_ptr<WorkerEndpoint>> Start(const std::string& socket_path, grpc::Service& service);
  ~WorkerEndpoint();  // cuts all streams
  std::string address() const { return "unix:" + socket_path_; }

 private:
  WorkerEndpoint(std::string socket_path, std::unique_ptr<grpc::Server> server)
      : socket_path_(std::move(socket_path)), server_(std::move(server)) {}
  const std::string socket_path_;
  const std::unique_ptr<grpc::Server> server_;
};

}  // namespace attune::workers
