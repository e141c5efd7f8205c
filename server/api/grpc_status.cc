#include "server/api/grpc_status.h"

#include <optional>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/str_cat.h"

namespace attune::api {
namespace {

constexpr std::string_view kMetadataPrefix = "attune.dev/metadata/";
constexpr std::string_view kQuotaFailurePayload = "google.rpc.QuotaFailure";
constexpr absl::Duration kUnavailableRetryDelay = absl::Seconds(1);
// gRPC implementations refuse a call's trailers over 8 KiB, and with them its status. The message counts percent-encoded, the details in base64;
// some is left for the other entries.
constexpr size_t kMaxTrailerBytes = 7 << 10;
constexpr size_t kMaxMessageBytes = 1 << 10;

std::optional<std::string> Payload(const absl::Status& status, std::string_view url) {
  auto payload = status.GetPayload(AbslView(url));
  if (!payload.has_value()) return std::nullopt;
  return std::string(*payload);
}

google::rpc::ErrorInfo MakeErrorInfo(const absl::Status& status) {
  google::rpc::ErrorInfo info;
  info.set_domain(std::string(kErrorDomain));
  info.set_reason(Payload(status, auth::kReasonPayload).value_or(std::string(DefaultReason(status.code()))));
  status.ForEachPayload([&info](absl::string_view url, const absl::Cord& value) {
    if (absl::ConsumePrefix(&url, AbslView(kMetadataPrefix))) {
      (*info.mutable_metadata())[std::string(url)] = std::string(value);
    }
  });
  return info;
}

std::optional<absl::Duration> RetryDelay(const absl::Status& status) {
  int64_t milliseconds = 0;
  std::optional<std::string> text = Payload(status, auth::kRetryDelayPayload);
  if (text.has_value() && absl::SimpleAtoi(*text, &milliseconds)) return absl::Milliseconds(milliseconds);
  if (status.code() == absl::StatusCode::kUnavailable) return kUnavailableRetryDelay;
  return std::nullopt;
}

// Bytes of details that fit into the trailers beside the message.
size_t DetailRoom(std::string_view message) {
  size_t encoded = 0;
  for (char c : message) encoded += (c >= ' ' && c <= '~' && c != '%') ? 1 : 3;
  return encoded < kMaxTrailerBytes ? (kMaxTrailerBytes - encoded) / 4 * 3 : 0;
}

// Keeps the first violations that fit, and says how many were left out.
void AddBadRequest(const google::rpc::BadRequest& all, google::rpc::Status& details) {
  google::rpc::BadRequest kept;
  size_t room = DetailRoom(details.message());
  size_t used = details.ByteSizeLong() + 128;  // 128 for the type URL and the note about the rest
  for (const auto& violation : all.field_violations()) {
    used += violation.ByteSizeLong() + 4;
    if (used > room) break;
    *kept.add_field_violations() = violation;
  }
  int left_out = all.field_violations_size() - kept.field_violations_size();
  if (left_out > 0) {
    auto* rest = kept.add_field_violations();
    rest->set_field("...");
    rest->set_description(StrCat(left_out, " more faults are not shown"));
  }
  details.add_details()->PackFrom(kept);
}

// At most `bytes`, cut between characters.
std::string Truncate(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  size_t end = bytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return StrCat(text.substr(0, end), "...");
}

}  // namespace

std::string_view DefaultReason(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return "INVALID_REQUEST";
    case absl::StatusCode::kNotFound:
      return "RESOURCE_NOT_FOUND";
    case absl::StatusCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case absl::StatusCode::kFailedPrecondition:
      return "WRONG_STATE";
    case absl::StatusCode::kOutOfRange:
      return "OUT_OF_RANGE";
    case absl::StatusCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case absl::StatusCode::kUnavailable:
      return "SERVER_UNAVAILABLE";
    case absl::StatusCode::kDataLoss:
      return "CONTENT_DAMAGED";
    case absl::StatusCode::kAborted:
      return "SUPERSEDED";
    case absl::StatusCode::kCancelled:
      return "CANCELLED";
    case absl::StatusCode::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case absl::StatusCode::kPermissionDenied:
      return "PERMISSION_DENIED";
    case absl::StatusCode::kUnauthenticated:
      return "UNAUTHENTICATED";
    case absl::StatusCode::kUnimplemented:
      return "UNIMPLEMENTED";
    default:
      return "INTERNAL";
  }
}

void SetMetadata(absl::Status& status, std::string_view key, std::string_view value) {
  status.SetPayload(StrCat(kMetadataPrefix, key), absl::Cord(AbslView(value)));
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // absl's codes are gRPC's by design.
  auto code = static_cast<grpc::StatusCode>(status.code());
  std::string message = Truncate({status.message().data(), status.message().size()}, kMaxMessageBytes);
  google::rpc::Status details;
  details.set_code(code);
  details.set_message(message);
  details.add_details()->PackFrom(MakeErrorInfo(status));
  if (std::optional<absl::Duration> delay = RetryDelay(status)) {
    google::rpc::RetryInfo retry;
    int64_t milliseconds = absl::ToInt64Milliseconds(*delay);
    retry.mutable_retry_delay()->set_seconds(milliseconds / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(milliseconds % 1000) * 1000000);
    details.add_details()->PackFrom(retry);
  }
  google::rpc::QuotaFailure quota_failure;
  std::optional<std::string> payload = Payload(status, kQuotaFailurePayload);
  if (payload.has_value() && quota_failure.ParseFromString(*payload)) details.add_details()->PackFrom(quota_failure);
  google::rpc::BadRequest bad_request;
  payload = Payload(status, kBadRequestPayload);
  if (payload.has_value() && bad_request.ParseFromString(*payload) && bad_request.field_violations_size() > 0) {
    AddBadRequest(bad_request, details);
  }
  return grpc::Status(code, message, details.SerializeAsString());
}

}  // namespace attune::api
