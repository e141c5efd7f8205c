#include "server/auth/auth_errors.h"

#include "absl/strings/cord.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

absl::Status WithReason(absl::StatusCode code, std::string_view reason, std::string_view message) {
  absl::Status status(code, AbslView(message));
  SetReason(status, reason);
  return status;
}

}  // namespace

absl::Status Unauthenticated(std::string_view reason, std::string_view message) { return WithReason(absl::StatusCode::kUnauthenticated, reason, message); }

absl::Status PermissionDenied(std::string_view reason, std::string_view message) { return WithReason(absl::StatusCode::kPermissionDenied, reason, message); }

absl::Status NotYet(std::string_view reason, std::string_view message, absl::Duration delay) {
  absl::Status status = WithReason(absl::StatusCode::kUnavailable, reason, message);
  SetRetryDelay(status, delay);
  return status;
}

void SetReason(absl::Status& status, std::string_view reason) { status.SetPayload(AbslView(kReasonPayload), absl::Cord(AbslView(reason))); }

void SetRetryDelay(absl::Status& status, absl::Duration delay) {
  status.SetPayload(AbslView(kRetryDelayPayload), absl::Cord(StrCat(absl::ToInt64Milliseconds(absl::Ceil(delay, absl::Milliseconds(1))))));
}

std::string ReasonOf(const absl::Status& status) {
  auto payload = status.GetPayload(AbslView(kReasonPayload));
  return payload.has_value() ? std::string(*payload) : std::string();
}

}  // namespace attune::auth
