// The connection behind a Client and what its options must fulfil. Internal to the library. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "client/cpp/client.h"
#include "grpcpp/channel.h"

namespace attune::client {

// INVALID_ARGUMENT that names the option.
absl::Status CheckOptions(const ClientOptions& options);

std::shared_ptr<grpc::Channel> OpenChannel(const ClientOptions& options);

// The error that the caller sees after the last try: for an unreachable server it says where it was sought and how
// often.
absl::Status ExplainFinal(const absl::Status& status, const ClientOptions& options, int tries);

void SleepFor(const RetryPolicy& policy, absl::Duration duration);

}  // namespace attune::client
