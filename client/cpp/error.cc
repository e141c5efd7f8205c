#include "client/cpp/error.h"

#include "absl/strings/cord.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/str_cat.h"

namespace attune::client {
namespace {

constexpr char kDetailsPayload[] = "type.googleapis.com/google.rpc.Status";

void Decode(const google::protobuf::Any& detail, Error* error) {
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad_request;
  google::rpc::RetryInfo retry;
  if (detail.UnpackTo(&info)) {
    error->reason = info.reason();
    error->metadata.insert(info.metadata().begin(), info.metadata().end());
  } else if (detail.UnpackTo(&bad_request)) {
    for (const auto& fault : bad_request.field_violations()) {
      error->violations.push_back({fault.field(), fault.description()});
    }
  } else if (detail.UnpackTo(&retry)) {
    error->retry_delay = absl::Seconds(retry.retry_delay().seconds()) + absl::Nanoseconds(retry.retry_delay().nanos());
  }
}

}  // namespace

std::string Error::ToString() const {
  std::string text = StrCat(absl::StatusCodeToString(code), ": ", message);
  for (const FieldViolation& fault : violations) StrAppend(&text, "\n  ", fault.field, ": ", fault.description);
  return text;
}

Error DescribeError(const absl::Status& status) {
  Error error{.code = status.code(), .message = std::string(status.message())};
  google::rpc::Status details;
  auto payload = status.GetPayload(kDetailsPayload);
  if (payload.has_value() && details.ParseFromString(std::string(*payload))) {
    for (const auto& detail : details.details()) Decode(detail, &error);
  }
  return error;
}

absl::Status ToStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  if (!status.error_details().empty()) result.SetPayload(kDetailsPayload, absl::Cord(status.error_details()));
  return result;
}

absl::Status WithPrefix(const absl::Status& status, const std::string& prefix) {
  if (status.ok()) return status;
  absl::Status result(status.code(), StrCat(prefix, ": ", status.message()));
  auto payload = status.GetPayload(kDetailsPayload);
  if (payload.has_value()) result.SetPayload(kDetailsPayload, *payload);
  return result;
}

bool IsTransient(const absl::Status& status) {
  if (absl::IsUnavailable(status)) return true;
  const Error error = DescribeError(status);
  if (error.retry_delay.has_value()) return true;
  const bool from_connection = absl::IsInternal(status) || absl::IsUnknown(status) || absl::IsCancelled(status);
  return from_connection && error.reason.empty();
}

}  // namespace attune::client
