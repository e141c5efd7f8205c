// A call whose stream reports progress and ends with a result. For this folder; thread-safe.
//
//   ATTUNE_RETURN_IF_ERROR(CallWithProgress(options, stub, &v1::DatasetService::Stub::ImportDataset, request, "import", take));
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "client/cpp/channel.h"
#include "client/cpp/client.h"
#include "client/cpp/error.h"
#include "client/cpp/retry.h"
#include "client/cpp/stall_guard.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/sync_stream.h"
#include "server/base/str_cat.h"

namespace attune::client {

// Gives each message to `take`, which returns whether it is the last. A stream that is cut is made anew, as often as the options say. `what`: the call, for messages.
template <typename Stub, typename Request, typename Response, typename Take>
absl::Status CallWithProgress(const ClientOptions& options, Stub& stub,
                              std::unique_ptr<grpc::ClientReader<Response>> (Stub::*method)(grpc::ClientContext*, const Request&),
                              const Request& request, const char* what, Take take) {
  Retrier retrier(options.retry);
  while (true) {
    grpc::ClientContext context;
    StallGuard guard(context, absl::Seconds(options.long_call_timeout_seconds));
    auto reader = (stub.*method)(&context, request);
    Response response;
    bool ended = false;
    guard.Arm();
    while (reader->Read(&response)) {
      guard.Disarm();
      ended = take(response);
      guard.Arm();
    }
    absl::Status status = guard.Explain(ToStatus(reader->Finish()));
    guard.Disarm();
    if (status.ok() && ended) return status;
    if (status.ok()) status = absl::UnavailableError(StrCat("the server ended the ", what, " without a result"));
    if (!retrier.WaitAfter(status)) return ExplainFinal(status, options, retrier.failures());
  }
}

}  // namespace attune::client
