// What a failed call says, readable. gRPC statuses become absl::Status with the server's google.rpc details kept as a
// payload, so that every function of this library returns absl::Status or StatusOr, and DescribeError takes the details
// out again. Pure; thread-safe.
//
//   auto job = client->CreateFineTuningJob(request);
//   if (!job.ok()) for (const FieldViolation& fault : DescribeError(job.status()).violations) ...
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/support/status.h"

namespace attune::client {

// One fault of a request.
struct FieldViolation {
  std::string field;        // path in the request ("spec.hyperparameters.n_epochs"), or where in a file
  std::string description;  // what is wrong and what to do
};

struct Error {
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message;
  std::string reason;  // UPPER_SNAKE_CASE from the server's ErrorInfo; empty when the call did not reach the server
  std::map<std::string, std::string> metadata;
  std::vector<FieldViolation> violations;
  std::optional<absl::Duration> retry_delay;  // the server asks to wait this long
  std::string ToString() const;               // several lines: code and message, then each violation
};

Error DescribeError(const absl::Status& status);

// Keeps the details of `status` in a payload.
absl::Status ToStatus(const grpc::Status& status);

// The same code and details with "prefix: " before the message. OK stays OK.
absl::Status WithPrefix(const absl::Status& status, const std::string& prefix);

// Whether the same call may succeed when it is made again: UNAVAILABLE, a RetryInfo, or a fault of the connection
// (INTERNAL, UNKNOWN or CANCELLED that does not come from the server, whose errors always carry an ErrorInfo).
bool IsTransient(const absl::Status& status);

}  // namespace attune::client
