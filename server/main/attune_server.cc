// attune-server: flags and a configuration file -> Options -> Create() -> Wait(). Exit code 0 after SIGTERM or SIGINT, 1 when it cannot start,
// 2 when it is told nonsense, 128 + the signal's number after a second signal.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "grpc/support/log.h"
#include "server/auth/tls/server_certificate.h"
#include "server/base/fault_point.h"
#include "server/base/log.h"
#include "server/main/check_data.h"
#include "server/main/command_line.h"
#include "server/main/server.h"
#include "server/main/signals.h"

namespace attune {
namespace {

LogLevel LevelNamed(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

// gRPC's own lines speak of connections, which strangers make as many of as they like: for whoever looks for a fault.
void LogForGrpc(gpr_log_func_args* args) { Log(LogLevel::kDebug, "gRPC", {{"text", std::string(args->message)}, {"severity", gpr_log_severity_string(args->severity)}}); }

// A core would hold keys and tokens. A limit of 0 alone does not stop those that the kernel pipes to a program.
void LeaveNoCores() {
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}

// Connections, watches and uploads take a descriptor each, and most shells and services begin with 1024.
void OpenAsManyFilesAsAllowed() {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

int Run(int argc, char** argv) {
  absl::StatusOr<CommandLine> command = ParseCommandLine({argv + 1, argv + argc});
  if (!command.ok()) {
    std::fprintf(stderr, "attune-server: %s\n", std::string(command.status().message()).c_str());
    return 2;
  }
  if (command->print.has_value()) {
    std::fputs(command->print->c_str(), stdout);
    return 0;
  }
  const ServerOptions& options = command->options;
  SetMinLogLevel(LevelNamed(options.operation.log_level));
  if (command->check) {
    absl::StatusOr<DataReport> report = CheckData(options.storage.data_dir);
    if (!report.ok()) {
      std::fprintf(stderr, "attune-server: %s\n", std::string(report.status().message()).c_str());
      return 1;
    }
    std::fputs(report->ToText().c_str(), stdout);
    return report->faults.empty() ? 0 : 1;
  }
  ArmFaultPoints("server");
  BlockStopSignals();
  gpr_set_log_function(LogForGrpc);
  OpenAsManyFilesAsAllowed();
  if (!options.security.tls_certificate_file.empty() || options.security.auth != "none") LeaveNoCores();
  if (!options.security.tls_certificate_file.empty()) auth::RequireTls13();
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Create(options);
  if (!server.ok()) {
    Log(LogLevel::kError, "the server cannot start", {{"error", std::string(server.status().message())}});
    return 1;
  }
  WatchStopSignals([&server] { (*server)->RequestShutdown(); });
  Log(LogLevel::kInfo, "READY", {{"address", (*server)->address()},
                                 {"version", kServerVersion},
                                 {"pid", static_cast<int64_t>(getpid())},
                                 {"data_dir", options.storage.data_dir},
                                 {"tls", !options.security.tls_certificate_file.empty()},
                                 {"auth", options.security.auth},
                                 {"metrics_port", (*server)->metrics_port()}});
  bool ended = (*server)->Wait();
  Log(LogLevel::kInfo, "stopped", {{"imports_cut", !ended}});
  // Imports can take hours and are safe to cut; waiting for them in destructors would keep the process from ending.
  if (!ended) _exit(0);
  server->reset();
  return 0;
}

}  // namespace
}  // namespace attune

int main(int argc, char** argv) { return attune::Run(argc, argv); }
