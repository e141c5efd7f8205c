// A child process started with posix_spawn (never fork: OpenMP would hang). Passive: it does not watch itself; whoever owns it
// waits on it. Not thread-safe.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto child, Subprocess::Start({.argv = {"/usr/bin/attune-worker", "--describe"}, .capture_stdout = true}));
//   ATTUNE_ASSIGN_OR_RETURN(std::string out, child->ReadStdoutToEnd());
//   ExitStatus status = child->Wait();
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace attune {

struct ExitStatus {
  bool signaled = false;
  int code = 0;  // exit code, or the signal's number
  std::string ToString() const;  // "exited with code 3", "killed by signal 9 (SIGKILL)"
};

struct SubprocessOptions {
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> extra_env;  // on top of this process's environment
  bool capture_stdout = false;
  bool capture_stderr = false;  // read with stderr_fd()
};

class Subprocess {
 public:
  static absl::StatusOr<std::unique_ptr<Subprocess>> Start(const SubprocessOptions& options);
  // Kills (SIGKILL) and reaps a child that still runs.
  ~Subprocess();
  pid_t pid() const { return pid_; }
  int stdout_fd() const { return stdout_fd_; }  // -1 unless captured
  int stderr_fd() const { return stderr_fd_; }  // -1 unless captured
  absl::StatusOr<std::string> ReadStdoutToEnd(size_t max_bytes = 16 << 20);
  std::optional<ExitStatus> Poll();  // does not block
  ExitStatus Wait();
  std::optional<ExitStatus> WaitFor(absl::Duration timeout);
  void Signal(int signal_number);  // ignored once reaped

 private:
  Subprocess() = default;
  pid_t pid_ = -1;
  int stdout_fd_ = -1;
  int stderr_fd_ = -1;
  std::optional<ExitStatus> exit_;
};

}  // namespace attune
