// Errors of this folder: UNAUTHENTICATED and PERMISSION_DENIED with a reason that programs read, as payloads that api/grpc_status.h turns into google.rpc details. Messages say what to do and
// never hold a secret or what a stranger sent. Pure.
//
//   return Unauthenticated("TOKEN_EXPIRED", "the token t2x expired on 2026-01-01; ask for a new one");
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace attune::auth {

// Payloads of a status, which api/grpc_status.h reads.
inline constexpr std::string_view kReasonPayload = "attune.dev/reason";
inline constexpr std::string_view kRetryDelayPayload = "attune.dev/retry_delay_ms";  // decimal

absl::Status Unauthenticated(std::string_view reason, std::string_view message);
absl::Status PermissionDenied(std::string_view reason, std::string_view message);
// UNAVAILABLE: the same call may succeed after `delay`.
absl::Status NotYet(std::string_view reason, std::string_view message, absl::Duration delay);

// Each puts something into a status, and is without effect on OK.
void SetReason(absl::Status& status, std::string_view reason);
void SetRetryDelay(absl::Status& status, absl::Duration delay);
// "" for a status without one.
std::string ReasonOf(const absl::Status& status);

}  // namespace attune::auth
