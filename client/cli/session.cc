#include "client/cli/session.h"

#include "absl/strings/ascii.h"
#include "client/cli/render/error_text.h"
#include "google/protobuf/util/json_util.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"

namespace attune::cli {
namespace {

constexpr int64_t kMaxCredentialBytes = 1 << 20;

std::string ToJson(const google::protobuf::Message& message, bool lines) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = !lines;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  // Only an Any of a type that this program does not know cannot be printed.
  if (!status.ok()) text = "{}";
  return text;
}

}  // namespace

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kOk;
    case absl::StatusCode::kNotFound:
      return kNotFound;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return kRejected;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return kUnreachable;
    default:
      return kFailed;
  }
}

absl::StatusOr<client::Client*> Session::client() {
  if (client_ == nullptr) {
    options_.address = server;
    ATTUNE_RETURN_IF_ERROR(LoadCredentials());
    ATTUNE_ASSIGN_OR_RETURN(client_, client::Client::Connect(options_));
  }
  return client_.get();
}

absl::Status Session::LoadCredentials() {
  options_.tls = tls;
  const auto load = [](const std::string& path, std::string& text) -> absl::Status {
    if (path.empty()) return absl::OkStatus();
    ATTUNE_ASSIGN_OR_RETURN(text, ReadFile(path, kMaxCredentialBytes));
    return absl::OkStatus();
  };
  ATTUNE_RETURN_IF_ERROR(load(ca_file, options_.ca_certificates));
  ATTUNE_RETURN_IF_ERROR(load(client_certificate_file, options_.client_certificate));
  ATTUNE_RETURN_IF_ERROR(load(client_key_file, options_.client_key));
  ATTUNE_RETURN_IF_ERROR(load(token_file, options_.token));
  absl::StripAsciiWhitespace(&options_.token);
  return absl::OkStatus();
}

int Session::Show(const google::protobuf::Message& message, const std::function<std::string()>& text) {
  if (json()) {
    PrintJson(message);
  } else {
    Print(text());
  }
  return kOk;
}

void Session::PrintJson(const google::protobuf::Message& message) {
  std::string text = ToJson(message, false);
  if (text.empty() || text.back() != '\n') text.push_back('\n');
  Print(text);
}

void Session::PrintJsonLine(const google::protobuf::Message& message) { Print(ToJson(message, true) + "\n"); }

void Session::Note(const std::string& text) {
  if (!json()) Print(text);
}

int Session::Fail(const std::string& what, const absl::Status& why, const std::string& fix) {
  console_.err << FailureText({what, why, fix}, console_.err_style) << std::flush;
  return ExitCodeOf(why);
}

}  // namespace attune::cli
