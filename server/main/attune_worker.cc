// attune-worker: trains one job attempt at a time for the server that started it. See --help.
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include "server/base/files.h"
#include "server/base/fault_point.h"
#include "server/base/log.h"
#include "server/training/worker/describe.h"
#include "server/training/worker/devices.h"
#include "server/training/worker/enter_sandbox.h"
#include "server/training/worker/process_guard.h"
#include "server/training/worker/torch_runtime.h"
#include "server/training/worker/worker_channel.h"
#include "server/training/worker/worker_loop.h"

namespace {

using namespace attune;  // NOLINT(google-build-using-namespace): a program, not a library

struct Options {
  bool describe = false;
  std::string server;
  std::string worker_id;
  std::string secret;
};

int Serve(const Options& options) {
  ArmFaultPoints("worker");
  training::DieWithParent();
  training::LeaveSignalsToTheServer();
  training::LimitMemory();
  absl::StatusOr<workers::Sandbox> sandbox = training::EnterSandbox(options.server);
  if (!sandbox.ok()) {
    Log(LogLevel::kError, "the sandbox cannot be entered", {{"error", std::string(sandbox.status().message())}});
    return training::kExitSandbox;
  }
  training::DieWithParent();  // again: a process that becomes another user's forgets it
  training::InitializeTorch();
  auto channel = training::WorkerChannel::Connect({.server = options.server, .worker_id = options.worker_id, .secret = options.secret});
  if (!channel.ok()) {
    Log(LogLevel::kError, "cannot connect", {{"server", options.server}, {"error", std::string(channel.status().message())}});
    return training::kExitUsage;
  }
  if (const absl::Status closed = sandbox->CloseConnections(); !closed.ok()) {
    Log(LogLevel::kError, "further connections cannot be forbidden", {{"error", std::string(closed.message())}});
    return training::kExitSandbox;
  }
  training::WarmUp();
  return training::RunWorker(**channel, Files::Posix(), *sandbox);
}

int Run(const Options& options) {
  if (!options.describe) return Serve(options);
  training::InitializeTorch();
  std::cout << training::DescribeWorker() << std::flush;
  return std::cout.good() ? 0 : training::kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Trains jobs for the attune-server that started it. People have no need to run it, except with --describe.");
  auto* describe = app.add_flag("--describe", options.describe, "print architectures, tasks and devices as JSON, and exit");
  auto* server = app.add_option("--server", options.server, "where the server listens for workers: unix:PATH or HOST:PORT");
  app.add_option("--worker-id", options.worker_id, "name that the server knows this worker by")->needs(server);
  describe->excludes(server);
  CLI11_PARSE(app, argc, argv);
  // Not a flag: command lines are readable by everybody. Nor does it stay where /proc shows it.
  if (char* secret = std::getenv("ATTUNE_WORKER_SECRET"); secret != nullptr) {
    options.secret = secret;
    std::memset(secret, 'x', std::strlen(secret));
  }
  if (!options.describe && (options.server.empty() || options.worker_id.empty() || options.secret.empty())) {
    std::cerr << "attune-worker: needs --server, --worker-id and the environment variable ATTUNE_WORKER_SECRET, which attune-server gives to its workers; "
                 "or --describe\n";
    return training::kExitUsage;
  }
  const int code = Run(options);
  // CUDA's libraries were loaded behind the linker's back and may not survive the order in which static objects go.
  if (training::CudaLoaded()) std::_Exit(code);
  return code;
}
