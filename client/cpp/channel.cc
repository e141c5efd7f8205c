#include "client/cpp/channel.h"

#include <arpa/inet.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "client/cpp/error.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "grpcpp/support/client_interceptor.h"
#include "server/base/str_cat.h"
#include "server/base/trace_context.h"

namespace attune::client {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;

// Only this machine hears what is said there. A name that begins like a local address is none.
bool IsLocal(const std::string& address) {
  if (absl::StartsWith(address, "unix:")) return true;
  const std::string host = address.substr(0, address.rfind(':'));
  struct in_addr parsed = {};
  return host == "localhost" || host == "[::1]" || (inet_pton(AF_INET, host.c_str(), &parsed) == 1 && (ntohl(parsed.s_addr) >> 24) == 127);
}

using Metadata = std::vector<std::pair<std::string, std::string>>;

// Adds the caller's trace and token to each call. (gRPC's own call credentials refuse a plaintext channel, which loopback is.)
class MetadataSender final : public grpc::experimental::Interceptor {
 public:
  explicit MetadataSender(Metadata metadata) : metadata_(std::move(metadata)) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(grpc::experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      for (const auto& [name, value] : metadata_) batch->GetSendInitialMetadata()->emplace(name, value);
    }
    batch->Proceed();
  }

 private:
  const Metadata metadata_;
};

class MetadataSenderFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit MetadataSenderFactory(Metadata metadata) : metadata_(std::move(metadata)) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new MetadataSender(metadata_);  // gRPC deletes it
  }

 private:
  const Metadata metadata_;
};

bool UsesTls(const ClientOptions& options) { return options.tls || !options.ca_certificates.empty() || !options.client_certificate.empty(); }

std::shared_ptr<grpc::ChannelCredentials> CredentialsOf(const ClientOptions& options) {
  if (!UsesTls(options)) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({.pem_root_certs = options.ca_certificates, .pem_private_key = options.client_key, .pem_cert_chain = options.client_certificate});
}

absl::Status CheckCredentials(const ClientOptions& options) {
  if (options.client_certificate.empty() != options.client_key.empty()) return absl::InvalidArgumentError("client_certificate and client_key belong together: give both, or neither");
  if (options.token.empty()) return absl::OkStatus();
  // gRPC aborts on metadata that HTTP/2 does not allow.
  for (char c : options.token) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return absl::InvalidArgumentError("token has a blank or a character that no token has; was it cut, or copied with its line's end?");
  }
  if (!UsesTls(options) && !IsLocal(options.address) && !options.allow_plaintext_token) {
    return absl::InvalidArgumentError(StrCat("the token would go to ", options.address, " in plain text, for everybody on the way to read; use TLS (tls, ca_certificates)"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckOptions(const ClientOptions& options) {
  if (options.address.empty()) {
    return absl::InvalidArgumentError("the server's address is empty: give host:port, for example 127.0.0.1:50051");
  }
  const std::pair<const char*, double> times[] = {
      {"call_timeout_seconds", options.call_timeout_seconds},
      {"long_call_timeout_seconds", options.long_call_timeout_seconds},
      {"stall_timeout_seconds", options.stall_timeout_seconds},
      {"retry.initial_backoff_seconds", options.retry.initial_backoff_seconds},
      {"retry.max_backoff_seconds", options.retry.max_backoff_seconds},
  };
  for (const auto& [name, value] : times) {
    if (!(value >= 0 && value < 1e9))
      return absl::InvalidArgumentError(StrCat(name, " must be 0 or more, got ", value));
  }
  if (options.retry.max_attempts < 1) {
    return absl::InvalidArgumentError(
        StrCat("retry.max_attempts must be at least 1, got ", options.retry.max_attempts));
  }
  // gRPC aborts on metadata that HTTP/2 does not allow.
  if (!options.traceparent.empty() && TraceIdOf(options.traceparent).empty()) {
    return absl::InvalidArgumentError(StrCat(
        "traceparent must look like 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 or be empty, got ",
        options.traceparent));
  }
  return CheckCredentials(options);
}

std::shared_ptr<grpc::Channel> OpenChannel(const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // gRPC refuses calls at once while it waits to reconnect; its wait must be shorter than ours, or our tries would be
  // for nothing.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A proxy from the environment is meant for the world outside.
  if (IsLocal(options.address)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  Metadata metadata;
  if (!options.traceparent.empty()) metadata.emplace_back("traceparent", options.traceparent);
  if (!options.token.empty()) metadata.emplace_back("authorization", "Bearer " + options.token);
  if (!metadata.empty()) interceptors.push_back(std::make_unique<MetadataSenderFactory>(std::move(metadata)));
  return grpc::experimental::CreateCustomChannelWithInterceptors(options.address, CredentialsOf(options),
                                                                 arguments, std::move(interceptors));
}

absl::Status ExplainFinal(const absl::Status& status, const ClientOptions& options, int tries) {
  if (!absl::IsUnavailable(status)) return status;
  return WithPrefix(status, StrCat("no answer from ", options.address, " in ", tries, tries == 1 ? " try" : " tries"));
}

void SleepFor(const RetryPolicy& policy, absl::Duration duration) {
  if (policy.sleep) {
    policy.sleep(duration);
  } else {
    absl::SleepFor(duration);
  }
}

}  // namespace attune::client
