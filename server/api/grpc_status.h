// The one place where an absl::Status becomes a grpc::Status, with google.rpc details that programs can read. Pure; thread-safe.
//
// Every error carries an ErrorInfo (domain "attune.dev", a reason in UPPER_SNAKE_CASE, metadata), and where they say more: a BadRequest with field
// violations, a QuotaFailure, a RetryInfo when the same call may succeed later. Code below api/ attaches what it knows as payloads of its absl::Status:
//
//   "google.rpc.BadRequest"       a serialised google.rpc.BadRequest
//   "google.rpc.QuotaFailure"     a serialised google.rpc.QuotaFailure
//   "attune.dev/reason"           the reason, where the code alone does not tell (otherwise see DefaultReason)
//   "attune.dev/metadata/KEY"     an entry of ErrorInfo.metadata
//   "attune.dev/retry_delay_ms"   decimal; UNAVAILABLE has one second without it, other codes no RetryInfo
//
//   absl::Status status = absl::OutOfRangeError("...");
//   SetReason(status, "UPLOAD_OFFSET");
//   reactor->Finish(ToGrpcStatus(status));
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/support/status.h"
#include "server/auth/auth_errors.h"

namespace attune::api {

inline constexpr std::string_view kErrorDomain = "attune.dev";
inline constexpr std::string_view kBadRequestPayload = "google.rpc.BadRequest";

grpc::Status ToGrpcStatus(const absl::Status& status);

// The reason of a status that names none: INVALID_REQUEST, RESOURCE_NOT_FOUND, WRONG_STATE, ...
std::string_view DefaultReason(absl::StatusCode code);

// Each returns without effect on an OK status.
using auth::SetReason;
using auth::SetRetryDelay;
void SetMetadata(absl::Status& status, std::string_view key, std::string_view value);

}  // namespace attune::api
