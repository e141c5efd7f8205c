// Follows a job on the console until it ends: a live view on a terminal, plain lines elsewhere, events as JSON lines
// with --output json. Used by `jobs watch` and `jobs create --watch`.
#pragma once

#include <string>

#include "client/cli/session.h"
#include "client/cpp/client.h"

namespace attune::cli {

// Returns the exit code of the job's final state: kOk, kFailed or kCancelled; of the error when it cannot be followed.
int WatchOnConsole(Session& session, client::Client& client, const std::string& job);

}  // namespace attune::cli
