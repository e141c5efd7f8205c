// The trace that a call brings along in its `traceparent` metadata (server/base/trace_context.h). Thread-safe.
//
//   const TraceScope trace = TraceOf(*context);  // first in a method whose work is worth finding again
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "grpcpp/server_context.h"
#include "grpcpp/support/string_ref.h"
#include "server/base/trace_context.h"

namespace attune::api {

// Empty where the call brings none, or a malformed one.
inline std::string TraceIdOfCall(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  const auto found = metadata.find("traceparent");
  return found == metadata.end() ? "" : TraceIdOf(std::string_view(found->second.data(), found->second.size()));
}

inline TraceScope TraceOf(const grpc::ServerContextBase& context) { return TraceScope(TraceIdOfCall(context.client_metadata())); }

}  // namespace attune::api
