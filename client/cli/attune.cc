// The command line client: everything is in RunCli.

#include <cstdlib>
#include <string>
#include <vector>

#include "client/cli/app.h"
#include "client/cli/console.h"
#include "server/base/trace_context.h"

int main(int argc, char** argv) {
  // gRPC's own log lines ("connect failed") say in its words what our errors say in ours. Must be set before gRPC
  // starts.
  setenv("GRPC_VERBOSITY", "NONE", 0);
  attune::client::ClientOptions options;
  const char* server = std::getenv("ATTUNE_SERVER");
  if (server != nullptr && *server != '\0') options.address = server;
  // Others' tools set it, and a malformed one is to be ignored.
  const char* traceparent = std::getenv("TRACEPARENT");
  if (traceparent != nullptr && !attune::TraceIdOf(traceparent).empty()) options.traceparent = traceparent;
  const char* token = std::getenv("ATTUNE_TOKEN");
  if (token != nullptr) options.token = token;
  attune::cli::Console console = attune::cli::ProcessConsole();
  return attune::cli::RunCli(std::vector<std::string>(argv + 1, argv + argc), console, options);
}
