// A channel to an Attune server, what its errors say, and retries, with generated stubs and nothing else of ours.
// Thread-safe.
//
// Errors: CallError for a call that failed, which keeps gRPC's status with the server's details.
//
//   auto jobs = v1::FineTuningJobService::NewStub(OpenChannel("localhost:50051", "ca.crt", token));
//   const v1::FineTuningJob job = Call(*jobs, &v1::FineTuningJobService::Stub::GetFineTuningJob, request);
#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "google/rpc/status.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace example {

class CallError : public std::runtime_error {
 public:
  explicit CallError(const grpc::Status& status);  // what(): code, message and the fields at fault
  const grpc::Status& status() const { return status_; }

 private:
  grpc::Status status_;
};

// Empty ca_file: plain text, and then no token, which gRPC does not send unencrypted. Connects at the first call: a
// wrong address shows up there, as UNAVAILABLE. std::runtime_error for a file that cannot be read.
std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address, const std::string& ca_file,
                                           const std::string& token);

// The whole file. std::runtime_error when it cannot be read.
std::string ReadFile(const std::string& path);

// The google.rpc message of this type that the server sent with an error (in grpc-status-details-bin).
template <typename Detail>
std::optional<Detail> FindDetail(const grpc::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  Detail found;
  for (const auto& packed : details.details())
    if (packed.UnpackTo(&found)) return found;
  return std::nullopt;
}

// Runs a call again when it ends with UNAVAILABLE, a RetryInfo or one of `codes`, five times at most: after the delay the
// server asks for, otherwise after a growing one. The call must be harmless to repeat, by its nature or through a
// request id. CallError with the last status.
void Retry(const std::function<grpc::Status()>& attempt, std::initializer_list<grpc::StatusCode> codes = {});

// gRPC waits for ever unless a call has a deadline. A context serves one call only.
inline void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(2));
}

// A unary call, with retries.
template <typename Stub, typename Request, typename Response>
Response Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
              const Request& request) {
  Response response;
  Retry([&] {
    grpc::ClientContext context;
    SetDeadline(context);
    return (stub.*method)(&context, request, &response);
  });
  return response;
}

}  // namespace example
