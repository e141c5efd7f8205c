#include "client/cpp/channel.h"

#include <memory>
#include <utility>
#include <vector>

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

bool IsLocal(const std::string& address) {
  return absl::StartsWith(address, "unix:") || absl::StartsWith(address, "localhost") ||
         absl::StartsWith(address, "127.") || absl::StartsWith(address, "[::1]");
}

// Adds the caller's trace to each call.
class TraceSender final : public grpc::experimental::Interceptor {
 public:
  explicit TraceSender(std::string traceparent) : traceparent_(std::move(traceparent)) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(grpc::experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      batch->GetSendInitialMetadata()->emplace("traceparent", traceparent_);
    }
    batch->Proceed();
  }

 private:
  const std::string traceparent_;
};

class TraceSenderFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TraceSenderFactory(std::string traceparent) : traceparent_(std::move(traceparent)) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new TraceSender(traceparent_);  // gRPC deletes it
  }

 private:
  const std::string traceparent_;
};

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
  return absl::OkStatus();
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
  if (!options.traceparent.empty()) interceptors.push_back(std::make_unique<TraceSenderFactory>(options.traceparent));
  return grpc::experimental::CreateCustomChannelWithInterceptors(options.address, grpc::InsecureChannelCredentials(),
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
